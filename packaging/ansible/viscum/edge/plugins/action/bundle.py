# SPDX-License-Identifier: GPL-2.0-only
from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import tempfile

from ansible import constants
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.viscum.edge.plugins.plugin_utils.bundle import Bundle
from ansible_collections.viscum.edge.plugins.plugin_utils.device import (
    DeviceAction,
    difference,
    digest_of,
    explain,
    file_digest,
)


class ActionModule(DeviceAction):
    spec = {
        "src": {"type": "path", "required": True},
        "wait": {"type": "str"},
        "confirm": {"type": "str"},
        "allow_downgrade": {"type": "bool", "default": False},
        "instance": {"type": "str", "default": "viscum"},
    }

    def act(self):
        wanted = self.parameters
        bundle = Bundle(self.local(wanted["src"]))
        after = bundle.service_file()
        common = {"name": bundle.service, "downgrade": wanted["allow_downgrade"], "instance": wanted["instance"]}
        head = self.send("head", bundle.head)
        answer = self.ask(state="lacks", file=head, sum=digest_of(bundle.head), **common)
        sent = len(bundle.head)
        here = answer["stored"].endswith("\n" + to_text(bundle.mark()))
        if answer["code"] != 0 or self.check_mode or (here and self.is_well(answer["status"] or {})):
            answer["changed"] = answer["code"] == 0 and not here
            return self.outcome(bundle, answer, head, sent, after)
        thin, size, digest = self.send_thin(bundle, (answer["answer"] or {}).get("parts", []))
        answer = self.ask(state="present", file=thin, sum=digest, wait=wanted["wait"], confirm=wanted["confirm"], **common)
        return self.outcome(bundle, answer, thin, sent + size, after)

    @staticmethod
    def is_well(status):
        """Otherwise the device is asked once more, and says what is wrong, or puts it right."""
        return status.get("state") == "up" and status.get("health") != "unhealthy" and status.get("confirm_ms_left") == -1

    def send_thin(self, bundle, lacking):
        """Only what the device lacks: its path there, its size and its digest."""
        descriptor, path = tempfile.mkstemp(dir=constants.DEFAULT_LOCAL_TMP)
        try:
            with os.fdopen(descriptor, "wb") as out:
                bundle.write_thin(out, lacking)
            return self.send_file("thin.bundle", path), os.path.getsize(path), file_digest(path)
        finally:
            os.unlink(path)

    def outcome(self, bundle, answer, remote, sent, after):
        said, before = answer["answer"] or {}, answer["before"]
        result = {
            "changed": answer["changed"],
            "name": bundle.service,
            "version": bundle.version,
            "digest": bundle.digest,
            "size": bundle.size,
            "sent": sent,
            "before": before,
            "service": answer["status"] or {},
        }
        if answer["code"] != 0:
            why = explain(said).replace("'%s'" % remote, "'%s'" % self.base_name(bundle.path))
            result.update(failed=True, code=answer["code"], msg=why, error=said.get("error", {}))
            # What an installation that fails leaves is what was there.
            result["changed"] = answer["stored"] != before
            return result
        if said.get("message"):
            result["msg"] = said["message"]
        path = "/etc/%s/services/%s.yaml" % (self.parameters["instance"], bundle.service)
        # Where nothing is changed there is no difference, however a byte is shown.
        now = to_text(after, errors="replace") if result["changed"] else before
        result["diff"] = [difference(before, now, path)]
        return result
