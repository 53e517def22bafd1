"""``python -m fedishare``: the same commands as ``fedishare``."""

from fedishare.cli import main

if __name__ == "__main__":
    main()
