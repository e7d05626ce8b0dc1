"""The version of the package, alone in its file so that building does not import the rest."""

__version__ = "0.2.0"
