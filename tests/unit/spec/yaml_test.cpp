// SPDX-License-Identifier: GPL-2.0-only
// What is no YAML, or YAML that we do not take: the whole sentence and its place.
#include <doctest/doctest.h>

#include "spec_texts.h"

using namespace viscum;
using namespace viscum::test;

TEST_CASE("spec: anchors, aliases, tags and merge keys are refused where they stand") {
    const std::string aliases = " (anchors and aliases are not supported: write the value out)";
    const std::string tag = "a tag (tags are not supported, every value is plain text)";
    CHECK(says("drain_timeout: &a 1s\n") == "web.yaml:5:16: an anchor" + aliases);
    CHECK(says("health: &a { interval: &b 1s, timeout: *b }\n") == "web.yaml:5:9: an anchor" + aliases +
                                                                       "\nweb.yaml:5:24: an anchor" + aliases +
                                                                       "\nweb.yaml:5:40: an alias" + aliases);
    CHECK(says("drain_timeout: *none\n") == "web.yaml:5:16: an alias" + aliases);
    CHECK(says("drain_timeout: !!str 1s\n") == "web.yaml:5:16: " + tag);
    CHECK(says("drain_timeout: ! 1s\n") == "web.yaml:5:16: " + tag);
    CHECK(says("!!str drain_timeout: 1s\n") == "web.yaml:5:1: " + tag);
    CHECK(says("health: !map { interval: 1s }\n") == "web.yaml:5:9: " + tag);
    CHECK(service_says("!<x>") == "web.yaml:1:1: " + tag + "\nweb.yaml:1:1: the file is empty");
    CHECK(says("<<: { on_failure: drop }\n") ==
          "web.yaml:5:1: a merge key (merge keys are not supported: write the values out)");
}

TEST_CASE("spec: a duplicate key names the line of the first") {
    CHECK(says("name: other\n") == "web.yaml:5:1: duplicate key 'name' (the first one is in line 2)");
    CHECK(says("'name': other\nname: third\n") ==
          "web.yaml:5:1: duplicate key 'name' (the first one is in line 2)\n"
          "web.yaml:6:1: duplicate key 'name' (the first one is in line 2)");
    CHECK(says("health: { tcp: { port: 1, port: 2 } }\n") ==
          "web.yaml:5:27: duplicate key 'port' (the first one is in line 5)");
    CHECK(service_says(
              "viscum: 1\nname: a\nintercept: [{address: 203.0.113.1}]\nrun:\n  command: [/a]\n  env:\n    A: 1\n"
              "    A: 2\n") == "web.yaml:8:5: duplicate key 'A' (the first one is in line 7)");
}

TEST_CASE("spec: keys are text") {
    CHECK(says("[a]: b\n") == "web.yaml:5:1: a list as a key (a key is plain text)");
    CHECK(says("{ a: [b] }: c\n") == "web.yaml:5:1: a map as a key (a key is plain text)");
    CHECK(says("~: b\n") == "web.yaml:5:1: a key without text (a key is plain text)");
    CHECK(says(repeated("k", 129) + ": b\n") ==
          "web.yaml:5:1: key '" + repeated("k", 40) + "...' is too long (a key has at most 128 bytes)");
}

TEST_CASE("spec: a file holds one document") {
    CHECK(service_says(kService + "---\n" + kService) == "web.yaml:5:1: a second document (a file holds one document)");
    CHECK(service_says(kService + "...\nname: x\n") ==
          "web.yaml:6:1: text behind the end of the document (a file holds one document)");
    CHECK(service_says("%YAML 1.2\n---\n" + kService) ==
          "web.yaml:1:1: a YAML directive (directives are not supported)");
}

TEST_CASE("spec: a tab does not indent") {
    const std::string tab = "a tab in the indentation (YAML indents with spaces)";
    CHECK(says("health:\n\tinterval: 1s\n") == "web.yaml:6:1: " + tab);
    CHECK(says("health:\n  \tinterval: 1s\n") == "web.yaml:6:3: " + tab);
    CHECK(says("health:\t# a comment\n\t# another\n\t\n  interval:\t1s\n") == "accepted");
}

TEST_CASE("spec: bytes that are no text are refused where they stand") {
    using namespace std::string_literals;
    CHECK(says("on_failure: \0cloud\n"s) == "web.yaml:5:13: a NUL byte (this is no text file)");
    CHECK(says("on_failure: \x1b[2J\n") == "web.yaml:5:13: control character \\x1b");
    CHECK(says("on_failure: \x7f\n") == "web.yaml:5:13: byte \\x7f is no valid UTF-8 text");
    CHECK(says("# a\rb\n") == "web.yaml:5:4: a carriage return within a line (lines end with \\n or \\r\\n)");
    for (const std::string bytes : {"\xff", "\x80", "\xc3", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80",
                                    "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xc2\x85", "\xef\xbb\xbf"}) {
        const auto said = says("# " + bytes);
        CHECK(said.substr(0, 20) == "web.yaml:5:3: byte \\");
        CHECK(said.substr(said.size() - 23) == " is no valid UTF-8 text");
    }
    CHECK(says("# gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x8c\xbf\n") == "accepted");
}

TEST_CASE("spec: what is no YAML says so in words of its own") {
    CHECK(says("health: { interval: 1s\n") == "web.yaml:6:1: a '{' without its '}', or a ',' that is missing");
    CHECK(says("x: [a\n") == "web.yaml:6:1: a '[' without its ']', or a ',' that is missing");
    CHECK(says("x: a]\n  y: ]\n") ==
          "web.yaml:6:4: a ':' where no key can be (put text that holds ': ' in quotes, and "
          "check the indentation)");
    CHECK(says("x: ]\n") == "web.yaml:5:4: a ']' or '}' without its beginning");
    CHECK(says("x: 'a\n") == "web.yaml:5:4: a quotation mark without its end");
    CHECK(says("x: \"a\\\"\n") == "web.yaml:5:4: a quotation mark without its end");
    CHECK(says("x: 'a") == "web.yaml:5:6: a quotation mark without its end");
    CHECK(says("on_failure: cloud: drop\n") ==
          "web.yaml:5:18: a ':' where no key can be (put text that holds ': ' in "
          "quotes, and check the indentation)");
    CHECK(says("x: - a\n") == "web.yaml:5:4: a '-' where no list can begin (check the indentation)");
    CHECK(says("x: @a\n") == "web.yaml:5:4: no valid YAML: unknown token");
}
