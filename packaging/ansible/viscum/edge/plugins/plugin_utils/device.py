# SPDX-License-Identifier: GPL-2.0-only
"""What the action plugins share: how the controller speaks with the shell module of the same name on a device."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import hashlib
import os

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible.plugins.action import ActionBase


def plain(arguments):
    """The arguments as the shell reads them: words that need no quoting in JSON; what is false or unset is empty."""
    words = {}
    for key, value in arguments.items():
        word = "" if value is None or value is False else "yes" if value is True else to_text(value)
        if any(char in '"\\' or not " " <= char <= "~" for char in word):
            raise AnsibleActionFail("%s: %r has bytes that no name or number has" % (key, word))
        words[key] = word
    return words


def digest_of(data):
    return hashlib.sha256(data).hexdigest()


def file_digest(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def explain(answer, source=None):
    """One line of an error of viscumctl's, as viscumctl itself shows it; `source` names the file that was sent."""
    error = (answer or {}).get("error") or {}
    lines = [error.get("message") or "viscumctl gave no answer"]
    for mistake in error.get("diagnostics") or []:
        if source:
            mistake["file"] = source
        lines.append("%s:%s:%s: %s" % tuple(mistake.get(key, "") for key in ("file", "line", "column", "what")))
    lines += error.get("details") or []
    if error.get("hint"):
        lines.append("hint: " + error["hint"])
    return "; ".join(lines)


def difference(before, after, name):
    return {"before": before, "after": after, "before_header": name, "after_header": name}


class DeviceAction(ActionBase):
    """A subclass has `spec`, `rules` and act(); it calls ask() to run the shell module of its own name."""

    TRANSFERS_FILES = True
    spec = {}
    rules = {}

    def run(self, tmp=None, task_vars=None):
        result = super(DeviceAction, self).run(tmp, task_vars)
        del tmp
        self._vars = task_vars
        self.parameters = self.validate_argument_spec(dict(self.spec), **self.rules)[1]
        try:
            result.update(self.act())
        except (AnsibleActionFail, AnsibleConnectionFailure):
            raise
        except (AnsibleError, OSError) as error:
            # No room for a file, or one that cannot be read here. Of a loop Ansible would tell nothing but this error.
            raise AnsibleActionFail(to_text(error))
        return result

    def cleanup(self, force=False):
        """A device that is lost by now keeps its temporary files. What run() found out stands: Ansible would put the
        failure to remove them in its place, as one answer for a whole loop, of a device that was reached and refused."""
        try:
            super(DeviceAction, self).cleanup(force)
        except AnsibleConnectionFailure as error:
            self._display.vvv("temporary files are left: %s" % to_text(error))

    def act(self):
        raise NotImplementedError()

    @property
    def check_mode(self):
        return self._play_context.check_mode

    def ask(self, **arguments):
        """Runs the shell module; its answer, or AnsibleActionFail with what Ansible says instead, and `unanswered`: nobody
        knows what the module did before it ended."""
        arguments["check"] = self.check_mode
        answer = self._execute_module(
            module_name=self._task.action, module_args=plain(arguments), task_vars=self._vars
        )
        if not answer.get("viscum"):
            what = answer.get("msg") or answer.get("module_stderr") or answer.get("module_stdout") or "no answer"
            raise AnsibleActionFail("the device gave no answer: %s" % to_text(what).strip(), result={"unanswered": True})
        return answer

    def source(self):
        """The text that `src`, `content` or `definition` gives, as bytes; None without any."""
        if self.parameters.get("content") is not None:
            return to_bytes(self.parameters["content"])
        if self.parameters.get("src"):
            with open(self.local(self.parameters["src"]), "rb") as file:
                return file.read()
        return None

    def local(self, path):
        try:
            return self._find_needle("files", path)
        except AnsibleError as error:
            raise AnsibleActionFail(to_text(error))

    def send(self, name, data):
        """A file in the task's own directory on the device: its path there."""
        path = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
        self._transfer_data(path, data)
        self._fixup_perms2((self._connection._shell.tmpdir, path))
        return path

    def send_file(self, name, path):
        remote = self._connection._shell.join_path(self._connection._shell.tmpdir, name)
        self._transfer_file(path, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return remote

    @staticmethod
    def base_name(path):
        return os.path.basename(path)
