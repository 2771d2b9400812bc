# driven: HostileDriven.Case064LocksOnTheLibraryHoldNobodyOff
import fcntl, json, os, time

def f(seconds):
    """Whether exclusive locks on a file that every jail maps were granted, now and after a while."""
    granted = 0
    for pause in (seconds, 0):
        for lock in (fcntl.flock, fcntl.lockf):
            lock(os.open(json.__file__, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            granted += 1
        time.sleep(pause)
    return granted
