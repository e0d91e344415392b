"""The last word is the kernel's: nothing that ran before made it complain."""
import re
import subprocess

from harness import case


@case()
def kernel_log_is_clean():
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    found = re.findall(r".*(?:WARNING:|BUG:|Oops|refcount_t|leaked|hung task).*", log)
    assert not found, f"{len(found)} lines: {found[0]}"
