// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/documents.h"

#include <doctest/doctest.h>

#include "base/text.h"
#include "controller/image/accounts.h"
#include "controller/image/container.h"
#include "controller/image/layer_tree.h"
#include "controller/image/unpack.h"

using namespace viscum;

namespace {

const std::string kDigest(64, 'a');

std::string entry(std::string_view more = "") {
    return cat(R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)", kDigest,
               R"(","size":7)", more, "}");
}

std::string config(std::string_view inner) {
    return cat(R"({"os":"linux","architecture":"amd64","config":)", inner, R"(,"rootfs":{"diff_ids":["sha256:)",
               kDigest, R"("]}})");
}

template <class T>
std::string why(const Result<T>& result) {
    return result ? "" : result.error().what;
}

}  // namespace

TEST_CASE("image documents: an index gives its entries, with platform and name") {
    const auto index = read_index(cat(R"({"manifests":[)",
                                      entry(R"(,"platform":{"os":"linux","architecture":"arm","variant":"v7"},)"
                                            R"("annotations":{"org.opencontainers.image.ref.name":"v1"})"),
                                      "]}"));
    REQUIRE(index);
    REQUIRE(index->size() == 1);
    CHECK(index->front().digest == kDigest);
    CHECK(index->front().size == 7);
    CHECK(index->front().reference == "v1");
    CHECK(index->front().platform == Platform{"linux", "arm", "v7"});
    CHECK(index->front().platform->text() == "linux/arm/v7");
}

TEST_CASE("image documents: a text that is index and manifest at once is refused") {
    CHECK(why(read_index(R"({"manifests":[],"layers":[]})")).find("manifest as well") != std::string::npos);
    const auto both = cat(R"({"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)",
                          kDigest, R"(","size":1},"layers":[],"manifests":[]})");
    CHECK(why(read_manifest(both)).find("index as well") != std::string::npos);
}

TEST_CASE("image documents: digests are SHA-256, in 64 small digits") {
    for (const auto& digest :
         {"sha512:" + std::string(128, 'a'), "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
          std::string("sha256:../../../../etc/passwd"), std::string()}) {
        const auto text = cat(R"({"manifests":[{"digest":")", digest, R"(","size":1}]})");
        CHECK(why(read_index(text)).find("no SHA-256 digest") != std::string::npos);
    }
    CHECK_FALSE(read_index(cat(R"({"manifests":[{"digest":"sha256:)", kDigest, "\"}]}")));
    CHECK_FALSE(read_index(cat(R"({"manifests":[{"size":-1,"digest":"sha256:)", kDigest, "\"}]}")));
}

TEST_CASE("image documents: a configuration gives the command, the environment and the rest") {
    const auto read = read_config(config(R"({"Entrypoint":["a"],"Cmd":["b","c"],"Env":["K=v=w","E="],"User":"u:g",)"
                                         R"("WorkingDir":"srv","StopSignal":"SIGUSR1","Labels":null})"));
    REQUIRE_MESSAGE(read, why(read));
    CHECK(read->command == std::vector<std::string>{"a", "b", "c"});
    CHECK(read->env == std::map<std::string, std::string>{{"K", "v=w"}, {"E", ""}});
    CHECK(read->user == "u:g");
    CHECK(read->directory == "/srv");
    CHECK(read->stop_signal == "USR1");
    CHECK(read_config(config(R"({"StopSignal":"3"})"))->stop_signal == "QUIT");
    CHECK(read_config(config(R"({"StopSignal":"SIGKILL"})"))->stop_signal.empty());
    CHECK(read_config(config("null"))->command.empty());
}

TEST_CASE("image documents: configurations that could not be kept or would mean something else are refused") {
    CHECK_FALSE(read_config(config(R"({"Env":["novalue"]})")));
    CHECK_FALSE(read_config(config(R"({"Env":["=x"]})")));
    CHECK_FALSE(read_config(config(R"({"Cmd":"/bin/sh"})")));
    CHECK_FALSE(read_config(config(R"({"Cmd":["a\u0000b"]})")));
    CHECK_FALSE(read_config(config(R"({"WorkingDir":"/a/../../b"})")));
    CHECK_FALSE(read_config(config(cat(R"({"Cmd":[")", std::string(50'000, 'x'), R"("]})"))));
    CHECK_FALSE(read_config(R"({"rootfs":{"diff_ids":[]}})"));
    std::string ids;
    for (int i = 0; i < 97; ++i) {
        ids += cat(i == 0 ? "" : ",", R"("sha256:)", kDigest, "\"");
    }
    CHECK_FALSE(read_config(cat(R"({"rootfs":{"diff_ids":[)", ids, "]}}")));
}

TEST_CASE("image documents: layers of other kinds are refused by their names") {
    CHECK(*layer_compression("application/vnd.oci.image.layer.v1.tar") == Compression::none);
    CHECK(*layer_compression("application/vnd.docker.image.rootfs.diff.tar.gzip") == Compression::gzip);
    CHECK(*layer_compression("application/vnd.oci.image.layer.v1.tar+zstd") == Compression::zstd);
    for (const char* type : {"", "application/vnd.oci.image.layer.v1.tar+encrypted",
                             "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}) {
        CHECK(why(layer_compression(type)).find(cat("'", type, "'")) != std::string::npos);
    }
}

TEST_CASE("image platforms: the machine's own and what it can run, the best first") {
    const Platform amd64{"linux", "amd64", ""};
    CHECK(fitness({"linux", "amd64", ""}, amd64) > 0);
    CHECK(fitness({"linux", "amd64", "v3"}, amd64) == 0);
    CHECK(fitness({"linux", "arm64", ""}, amd64) == 0);
    CHECK(fitness({"windows", "amd64", ""}, amd64) == 0);
    const Platform arm{"linux", "arm", "v7"};
    CHECK(fitness({"linux", "arm", "v7"}, arm) > fitness({"linux", "arm", "v6"}, arm));
    CHECK(fitness({"linux", "arm", "v6"}, arm) > 0);
    CHECK(fitness({"linux", "arm", "v8"}, arm) == 0);
    CHECK(fitness({"linux", "arm", "v7"}, {"linux", "arm", "v5"}) == 0);
    CHECK(fitness({"linux", "arm64", "v8"}, {"linux", "arm64", "v8"}) > 0);
}

TEST_CASE("image accounts: a user is found by name or number, with its group or another") {
    constexpr std::string_view kPasswd = "root:x:0:0::/:\nbroken\nweb:x:33:34::/:\ntoor:x:0:0\nnonumber:x:z:1:\n";
    constexpr std::string_view kGroup = "root:x:0:\nwww:x:40:web\nbad:x:\n";
    const auto user = [&](const std::string& text) { return resolve_user(text, kPasswd, kGroup); };
    CHECK(*user("") == ImageUser{});
    CHECK(*user("root") == ImageUser{});
    CHECK(*user("0") == ImageUser{});
    CHECK(*user("0:40") == ImageUser{});
    CHECK(*user("toor") == ImageUser{});
    CHECK(*user("web") == ImageUser{33, 34});
    CHECK(*user("33") == ImageUser{33, 34});
    CHECK(*user("web:www") == ImageUser{33, 40});
    CHECK(*user("1000:50") == ImageUser{1000, 50});
    CHECK(*user("1000") == ImageUser{1000, {}});
    CHECK(*user("1000:0") == ImageUser{1000, {}});
    for (const char* unknown :
         {"none", "web:none", "broken", "nonumber", "web:", ":www", "-1", "4294967295", "web:bad"}) {
        CHECK_FALSE(user(unknown));
    }
}

TEST_CASE("image entries: names climb nowhere") {
    CHECK(*entry_path("./a//b/./c/") == std::vector<std::string>{"a", "b", "c"});
    CHECK(entry_path(".")->empty());
    CHECK(entry_path("/")->empty());
    for (const char* bad : {"..", "a/..", "../a", "a/../b", "/a", "//a"}) {
        CHECK_FALSE(entry_path(bad));
    }
    CHECK_FALSE(entry_path(std::string(256, 'a')));
    CHECK(entry_path(std::string(255, 'a')));
}

TEST_CASE("image members: names inside a container are made plain, and never lead out of it") {
    CHECK(member_name("./index.json") == "index.json");
    CHECK(member_name("a/../b//c") == "b/c");
    CHECK_FALSE(member_name("../x"));
    CHECK_FALSE(member_name("a/../../x"));
    CHECK_FALSE(member_name("./"));
}

TEST_CASE("image store: a small medium keeps 8 MiB free, a large one a twentieth") {
    CHECK(reserve_of(32ULL << 20) == 8ULL << 20);
    CHECK(reserve_of(1ULL << 30) == (1ULL << 30) / 20);
}
