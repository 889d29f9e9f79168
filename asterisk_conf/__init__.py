"""Templates of the PBX's configuration.

`*.j2` here is what a system Asterisk includes too; `embedded/*.j2` is what only an Asterisk of our
own needs. `cti.pbx` renders them; docs/asterisk.md tells how to include them.
"""
