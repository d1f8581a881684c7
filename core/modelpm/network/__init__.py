"""Facts about servers: health, mirrors, patience, and secrets that stay out of texts. No sockets."""
