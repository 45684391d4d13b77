# SPDX-License-Identifier: MIT
"""What the browser tests look at: threads that are throttled, wait and sleep, a denied call, and
names that would be elements of a page if they were not escaped."""
import ctypes
import hashlib
import threading
import time

PR_SET_NAME = 15
CLONE_NEWUSER = 0x10000000
libc = ctypes.CDLL(None)


def work(name):
    libc.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    for _ in range(3):
        hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 15000)
        time.sleep(0.01)


threads = [threading.Thread(target=work, args=(name,)) for name in ("<img src=x>", "a&lt;b", "\"'>x")]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
libc.unshare(CLONE_NEWUSER)
with open("/tmp/<img src=x onerror=alert(2)>", "w", encoding="utf-8"):
    time.sleep(0.05)
