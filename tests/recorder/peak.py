"""How much memory the program takes at most."""

# Runs the program and says, as its last line, the most memory it had, in KiB. (What getrusage says of that
# counts the process that started this one, too.)
PROGRAM_SAYING_ITS_PEAK = """
import pathlib, sys
from phonobase.cli import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    print(status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""
