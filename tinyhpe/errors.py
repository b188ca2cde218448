"""The one exception that the command line turns into one line and exit status 2."""


class InputError(ValueError):
    """Something that the user gave is bad: a folder, a photo, a label, a model file, a setting.

    The message is one line that says what is wrong, why, and what to do.
    """
