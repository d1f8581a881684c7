"""The library: Manager, AsyncManager and Project, and the services that they use."""
