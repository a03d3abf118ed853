#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may include what: the table of docs/architecture.md, held against the sources.

A folder may include itself, what stands below it, and nothing else; a library from outside has
one place that knows it, so that it can be exchanged there. Prints each violation, and fails if
there is one.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# folder: folders it may include, itself aside
FOLDERS = {
    "base": [],
    "model": ["base"],
    "origin": ["base", "model"],
    "embed": ["base", "model"],
    "proto": ["base", "model"],
    "vned": ["base", "model", "proto"],
    "vnagent": ["base", "model", "proto"],
    "tools": ["base", "model", "origin", "proto", "embed"],
    "tests": ["base", "model", "origin", "embed", "proto", "vned", "vnagent", "tools"],
}

# header: the files that may include it, and how many of them there may be (0: any number).
# Tests may look at a library with its own eyes.
FENCES = {
    r"zmq.*\.h": (r"proto/.*|tests/.*", 0),
    r"glpk\.h": (r"embed/.*|tests/.*", 1),
    r"expat\.h": (r"origin/.*", 1),
    r"yaml\.h": (r"model/yaml[a-z_]*\.c", 0),
    r"jansson\.h": (r"model/.*|tests/.*", 1),
    r"libmnl/.*": (r"base/nl[a-z_]*\.c", 0),
    r"microhttpd\.h": (r"vned/.*", 1),
    r"protobuf-c/.*": (r"proto/.*", 0),
    r".*\.pb-c\.h": (r"proto/.*", 0),
    r"_?libxl.*\.h|xenstore.*\.h|xentoollog\.h": (r"vnagent/xen/.*|tests/unit/test_xen.*", 0),
    r"bpf/(bpf|libbpf)\.h": (r"vnagent/(split_bpf|program)\.c|tests/unit/test_program\.c", 2),
    r"bpf/bpf_.*\.h": (r"vnagent/bpf/.*", 0),
    r"seccomp\.h": (r"base/confine\.c", 1),
    r"cmocka\.h": (r"tests/.*", 0),
}

INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def faults_of(path, users):
    name = path.relative_to(ROOT).as_posix()
    folder = name.split("/")[0]
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        own, outside = found.groups()
        header = own or outside
        place = f"{name}:{number}"
        for pattern, (allowed, _) in FENCES.items():
            if re.fullmatch(pattern, header):
                if not re.fullmatch(allowed, name):
                    yield f"{place}: includes {header}, which only {allowed} may"
                elif not name.startswith("tests/"):
                    users.setdefault(pattern, set()).add(name)
        if not own:
            continue
        target = own.split("/")[0]
        if "/" not in own or target not in FOLDERS:
            yield f'{place}: includes "{own}"; expected a path from the root of the tree'
        elif target != folder and target not in FOLDERS[folder]:
            yield f"{place}: {folder}/ includes {own}; it may include {', '.join(FOLDERS[folder]) or 'nothing'}"
        elif folder == target == "tools" and len(own.split("/")) > 2 and own.split("/")[1] != name.split("/")[1]:
            yield f"{place}: one tool includes another's {own}"


def main():
    users, faults, files = {}, [], 0
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.[ch]")):
            files += 1
            faults += faults_of(path, users)
    for pattern, (_, most) in FENCES.items():
        names = sorted(users.get(pattern, ()))
        if most and len(names) > most:
            faults.append(f"{pattern} is included by {', '.join(names)}; expected at most {most} of them")
    for fault in faults:
        print(fault)
    if not files:
        print("no sources found")
    return 1 if faults or not files else 0


if __name__ == "__main__":
    sys.exit(main())
