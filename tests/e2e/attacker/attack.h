// SPDX-License-Identifier: GPL-2.0-only
// What viscum-test-attacker tries. It is linked statically, so that it also runs where there is nothing but itself.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace viscum {

/// How an attempt ended: `text` is what was done, or why not ("EPERM").
struct Attempt {
    bool done = false;
    std::string text;
};
Attempt done(std::string what);
Attempt denied(int error);
Attempt denied(std::string reason);
/// For calls: done where `result` is not negative, else denied with errno.
Attempt tried(long result, std::string_view what);
/// For calls that are made with senseless arguments, so that they do no harm where they are allowed: done as well where
/// errno is `error`, which the kernel says only to those who may.
Attempt tried_or(long result, int error, std::string_view what);

/// One attempt. It runs in a child of its own, which is ended after `limit` with all that it started.
struct Item {
    std::string name;
    std::function<Attempt()> attempt;
    std::chrono::milliseconds limit{5'000};
};
using Items = std::vector<Item>;

/// Somebody to talk to.
struct Peer {
    std::string name;
    std::string address;
    std::uint16_t port = 0;
};

/// What the test knows better than the attacker.
struct Knowledge {
    std::vector<std::string> paths;    // files and directories that are not to be read
    std::vector<std::string> sockets;  // unix sockets
    std::vector<Peer> peers;
    std::string setuid_program;  // this program, owned by root and with the bit; empty: none
    bool harmless = false;       // leaves out what would harm a machine that allows it
};

void add_file_items(Items& items, const Knowledge& knowledge);
void add_process_items(Items& items, const Knowledge& knowledge);
void add_kernel_items(Items& items, const Knowledge& knowledge);
void add_network_items(Items& items, const Knowledge& knowledge);
void add_resource_items(Items& items, const Knowledge& knowledge);

/// Until it is refused or killed, within bounds. Memory: 10 GiB. Processes: 2,000, which stay while this one lives.
Attempt eat_memory();
Attempt fork_bomb();

/// Runs them, some at a time, and gives each line to `tell`: "NAME: denied EPERM", "NAME: DONE what".
void run_items(const Items& items, const std::function<void(const std::string& line)>& tell);

/// At most 64 KiB of a file, "" where it cannot be read.
std::string contents_of(const std::string& path);
/// The names in a directory but "." and ".."; empty where it cannot be read.
std::vector<std::string> names_in(const std::string& directory);

}  // namespace viscum
