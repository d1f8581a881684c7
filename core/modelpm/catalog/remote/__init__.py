"""Catalogs elsewhere: the last good copy on this machine, and how a newer one takes its place.

* ``state``: what is known of the copy.
* ``base``: when a newer one is asked for, and what happens where that fails.
* ``server``: asks a web server whether something is new.
* ``web``: over https, with an index; ``signed``: the same with TUF.
* ``copied``: copied as a whole; ``git``: from a repository; ``gallery``: from LocalAI's YAML.
* ``publish``: signs a catalog for others.
"""
