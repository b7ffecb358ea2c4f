# SPDX-License-Identifier: GPL-2.0-only
"""A bundle as `viscumctl bundle make` writes it, read on a controller that may lack viscumctl. Whether it is signed, and by
whom, is for the device to say: here it is only cut into its parts."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import json
import os

from ansible.errors import AnsibleActionFail

# As controller/bundle/manifest.h has them.
MOST = {"manifest": 256 * 1024, "signatures": 64 * 1024, "line": 256}
BLOCK = 1 << 20


class Bundle(object):
    """`head` is what stands in front of the parts; `service`, `version` and `digest` are what it says of itself."""

    def __init__(self, path):
        self.path = path
        self.size = os.path.getsize(path)
        with open(path, "rb") as file:
            line = file.readline(MOST["line"])
            words = line.split()
            if len(words) != 4 or words[:2] != [b"viscum-bundle", b"1"] or not (words[2] + words[3]).isdigit():
                self.refuse("it is no bundle, or one of another format")
            lengths = [int(word) for word in words[2:]]
            if lengths[0] > MOST["manifest"] or lengths[1] > MOST["signatures"]:
                self.refuse("its head is longer than that of any bundle")
            manifest = file.read(lengths[0])
            self.head = line + manifest + file.read(lengths[1])
            if len(self.head) != len(line) + sum(lengths):
                self.refuse("it is cut short")
            self.read_manifest(manifest)
            self.places = self.find_parts(file)

    def read_manifest(self, manifest):
        try:
            tree = json.loads(manifest)
            self.service, self.version = str(tree["service"]), str(tree["version"])
            self.sizes = dict((str(part["path"]), int(part["size"])) for part in tree["parts"])
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self.refuse("its manifest cannot be read")
        if min(list(self.sizes.values()) or [0]) < 0:
            self.refuse("a part has no size")
        if not self.service or self.service.strip("abcdefghijklmnopqrstuvwxyz0123456789-"):
            self.refuse("it names no service")
        # What this version of the service is known by on a device.
        self.digest = hashlib.sha256(manifest).hexdigest()[:40]

    def find_parts(self, file):
        """Where the bytes of each part begin."""
        places = {}
        while True:
            line = file.readline(MOST["line"])
            if not line:
                return places
            path = line[len(b"part "):-1].decode("ascii", "replace")
            if not line.startswith(b"part ") or path not in self.sizes:
                self.refuse("it has something that its manifest does not name")
            places[path] = file.tell()
            end = places[path] + self.sizes[path]
            if end > self.size:
                self.refuse("it is cut short")
            file.seek(end)

    def service_file(self):
        """The service's file as a device stores it: it says which bundle it came with."""
        if "service.yaml" not in self.places:
            self.refuse("it has no service file")
        with open(self.path, "rb") as file:
            file.seek(self.places["service.yaml"])
            text = file.read(self.sizes["service.yaml"])
        return text + (b"" if text.endswith(b"\n") else b"\n") + self.mark()

    def mark(self):
        return ("bundle: %s\n" % self.digest).encode("ascii")

    def write_thin(self, out, paths):
        """The head, and of the parts those in `paths`, each once."""
        if len(set(paths)) != len(paths):
            self.refuse("this device asks for a part more than once")
        out.write(self.head)
        with open(self.path, "rb") as file:
            for path in paths:
                if path not in self.places:
                    self.refuse("it is without '%s', which this device does not have" % path)
                out.write(("part %s\n" % path).encode("ascii"))
                file.seek(self.places[path])
                left = self.sizes[path]
                while left > 0:
                    block = file.read(min(left, BLOCK))
                    if not block:
                        self.refuse("it is cut short")
                    out.write(block)
                    left -= len(block)

    def refuse(self, why):
        raise AnsibleActionFail("%s: %s" % (os.path.basename(self.path), why))
