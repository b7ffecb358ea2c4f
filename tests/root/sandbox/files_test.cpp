// SPDX-License-Identifier: GPL-2.0-only
// What `files:` and the sandbox itself put into the root.
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "tests/root/sandbox/inside.h"

namespace viscum {
namespace {

using Source = FileSpec::Source;

TEST_CASE("files: /etc/hosts names the service, and what it is given") {
    Inside inside;
    inside.input.hosts = {{*IpAddress::parse("198.19.0.1"), "cloud.example www.example"}};
    CHECK(inside.say("cat /etc/hosts; stat -c %a /etc/hosts") ==
          "127.0.0.1\tlocalhost web\n::1\tlocalhost ip6-localhost ip6-loopback\n"
          "198.19.0.1\tcloud.example www.example\n444\n");
}

TEST_CASE("files: texts and files are there for everybody, secrets for the service alone") {
    put("/etc/viscum/files/page", "page\n", 0600);
    put("/etc/viscum/secrets/key", "key\n", 0600);
    Inside inside;
    inside.service.files = {{"/etc/new/text", Source::text, "text\nin lines\n"},
                            {"/etc/passwd", Source::text, "replaced\n"},
                            {"/opt/deep/page", Source::file, "page"},
                            {"/run/keys/key", Source::secret, "key"}};
    CHECK(inside.say("cd /; cat etc/new/text etc/passwd opt/deep/page run/keys/key; "
                     "stat -c '%a %u %n' /etc/new/text /etc/passwd /opt/deep/page /run/keys/key") ==
          cat("text\nin lines\nreplaced\npage\nkey\n444 0 /etc/new/text\n444 0 /etc/passwd\n444 0 /opt/deep/page\n400 ",
              kOwnUid, " /run/keys/key\n"));
    CHECK(inside.say("for f in /etc/new/text /etc/passwd /opt/deep/page /run/keys/key; do "
                     "(echo x > $f) 2> /dev/null && echo $f; rm -f $f 2> /dev/null && echo $f; done; echo done") ==
          "done\n");
    CHECK(access("/etc/new", F_OK) != 0);
    CHECK(access("/opt/deep", F_OK) != 0);
    CHECK(must(read_file("/etc/passwd", 1 << 20)) != "replaced\n");
}

TEST_CASE("files: they cannot be executed") {
    Inside inside;
    inside.service.files = {{"/etc/script", Source::text, "#!/bin/sh\necho ran\n"}};
    CHECK(inside.say("/etc/script 2>&1 | grep -o 'Permission denied'") == "Permission denied\n");
}

TEST_CASE("files: a source that is not as it must be starts nothing") {
    Inside inside;
    const auto say = [&](Source source, const std::string& name) {
        inside.service.files = {{"/etc/x", source, name}};
        return inside.say("wc -c < /etc/x");
    };
    put("/etc/viscum/secrets/open", "key", 0644);
    put("/etc/viscum/secrets/foreign", "key", 0600);
    REQUIRE(chown("/etc/viscum/secrets/foreign", 4242, 0) == 0);
    unlink("/etc/viscum/secrets/link");
    REQUIRE(symlink("/etc/shadow", "/etc/viscum/secrets/link") == 0);
    unlink("/etc/viscum/secrets/fifo");
    REQUIRE(mkfifo("/etc/viscum/secrets/fifo", 0600) == 0);
    put("/etc/viscum/files/large", std::string((1U << 20) + 1, 'x'));
    put("/etc/viscum/files/full", std::string(1U << 20, 'x'));
    CHECK(say(Source::secret, "open") ==
          "cannot use a secret that is not root's alone (chown root, chmod 600), '/etc/viscum/secrets/open': Operation "
          "not permitted");
    CHECK(say(Source::secret, "foreign") ==
          "cannot use a secret that is not root's alone (chown root, chmod 600), '/etc/viscum/secrets/foreign': "
          "Operation not permitted");
    CHECK(say(Source::secret, "link") == "cannot open '/etc/viscum/secrets/link': Too many levels of symbolic links");
    CHECK(say(Source::secret, "fifo") ==
          "cannot read what is no plain file, '/etc/viscum/secrets/fifo': Invalid argument");
    CHECK(say(Source::secret, "none") == "cannot open '/etc/viscum/secrets/none': No such file or directory");
    CHECK(say(Source::file, "large") == "cannot read '/etc/viscum/files/large': File too large");
    CHECK(say(Source::file, "full") == "1048576\n");
}

TEST_CASE("files: what does not fit into the service's memory says so") {
    put("/etc/viscum/files/full", std::string(1U << 20, 'x'));
    Inside inside;
    inside.service.limits.tmp = 64 * 1024;
    inside.service.files = {{"/etc/x", Source::file, "full"}};
    CHECK(inside.say("true") == "cannot copy '/etc/viscum/files/full': No space left on device");
}

TEST_CASE("files: a place that cannot be one says so") {
    Inside inside;
    inside.service.files = {{"/etc/passwd/x", Source::text, "x"}};
    CHECK(inside.say("true").starts_with("cannot open '/etc/passwd': Not a directory"));
    inside.service.files = {{"/etc", Source::text, "x"}};
    CHECK(inside.say("true") == "cannot mount on '/etc': Invalid argument");
}

}  // namespace
}  // namespace viscum
