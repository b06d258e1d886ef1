"""The commands of the command line, each a typed function whose docstring is its help.

Every command imports what it needs itself: ``crosstrait --help`` loads no numerical library.
"""
