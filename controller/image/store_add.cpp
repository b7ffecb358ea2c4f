// SPDX-License-Identifier: GPL-2.0-only
// How an image comes into the store.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/file.h"
#include "base/mount_tree.h"
#include "base/text.h"
#include "controller/image/broker.h"
#include "controller/image/cage.h"
#include "controller/image/importer.h"
#include "controller/image/store.h"

namespace viscum {
namespace {

/// "plates.tar.gz" in any folder is "plates"; what names cannot hold becomes '-'.
std::string base_name(const std::string& file) {
    std::string path = file;
    while (path.size() > 1 && path.ends_with('/')) {
        path.pop_back();
    }
    std::string name = path.substr(path.rfind('/') + 1);
    for (const char* ending : {".tar", ".tgz", ".tzst"}) {
        if (const auto at = name.rfind(ending); at != std::string::npos && at > 0) {
            name = name.substr(0, at);
        }
    }
    for (char& c : name) {
        c = is_image_name(std::string("a") + c) && c != '/' && c != ':' && c != '@' ? c : '-';
    }
    return is_image_name(name) ? name : "image";
}

/// A directory as the top of a mount of its own, read-only: from the child's descriptor of it ".." leads nowhere. What
/// cannot be mounted so is passed on as it is.
UniqueFd shut_in(UniqueFd fd) {
    struct stat info {};
    if (fstat(fd.get(), &info) != 0 || !S_ISDIR(info.st_mode)) {
        return fd;
    }
    const UniqueFd tree = clone_read_only(fd.get(), "");
    if (!tree) {
        return fd;
    }
    UniqueFd top(openat(tree.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return top ? std::move(top) : std::move(fd);
}

Result<UniqueFd> open_source(const std::string& file) {
    UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
    if (!fd) {
        return errno_error(cat("cannot open '", file, "'"));
    }
    return shut_in(std::move(fd));
}

/// Ends a child that has said all it may say, and waits for it; how it ended.
int end_child(pid_t child) {
    kill(child, SIGKILL);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

Error reported(const std::string& text) {
    constexpr std::uint64_t kMaxErrno = 4095;
    const auto zero = text.find('\0');
    const auto code = parse_decimal(text.substr(0, zero), kMaxErrno);
    return {code ? static_cast<int>(*code) : EIO, zero == std::string::npos ? "it failed" : text.substr(zero + 1)};
}

Result<ImportResult> read_result(const std::string& text, const std::string& wanted_name) {
    const auto parts = split(text, '\0');
    constexpr std::size_t kParts = 4;
    ImportResult made;
    if (parts.size() != kParts) {
        return Error{EIO, "the unpacking process gave no result"};
    }
    auto image = decode_image(parts[3], parts[1]);
    if (!image) {
        return std::move(image).error();
    }
    made.image = std::move(*image);
    made.name = wanted_name.empty() ? parts[0] : wanted_name;
    if (!is_image_name(made.name)) {
        return Error{EBADMSG, cat("'", made.name, "' is no name for an image")};
    }
    const auto counts = split(parts[2], ' ');
    const auto number = [&counts](std::size_t at) {
        return at < counts.size() ? parse_decimal(counts[at], kMaxImageEntries).value_or(0) : 0;
    };
    made.left_out = {number(0), number(1), number(2)};
    return made;
}

}  // namespace

/// What the child says until it has a result.
Result<ImportResult> ImageStore::receive(const ImportRequest& request, int channel) const {
    struct stat info {};
    if (stat(at("new").c_str(), &info) != 0) {
        return errno_error("cannot look at the image store");
    }
    const OpenLayer open_layer = [this](const std::string& digest) {
        constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
        UniqueFd fd(::open(cat(at("new"), "/", digest).c_str(), kFlags));
        return fd ? std::move(fd) : UniqueFd(::open(cat(at("layers"), "/", digest).c_str(), kFlags));
    };
    while (true) {
        const auto message = receive_message(channel);
        if (!message) {
            return message.error();
        }
        if (!*message) {
            return Error{EIO, "the unpacking process ended before it was done: out of memory or time"};
        }
        if ((*message)->kind == 'E') {
            return reported((*message)->text);
        }
        if ((*message)->kind == 'R') {
            return read_result((*message)->text, request.name);
        }
        if (auto answered = answer_request(channel, **message, info.st_dev, open_layer); !answered) {
            return std::move(answered).error();
        }
    }
}

Status ImageStore::publish(ImportResult& result) const {
    const UniqueFd fresh(::open(at("new").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const UniqueFd layers(::open(at("layers").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fresh || !layers) {
        return errno_error("cannot open the image store");
    }
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    std::vector<std::string> moved;
    result.image.bytes = 0;
    for (const auto& layer : result.image.layers) {
        UniqueFd directory(openat(layers.get(), layer.c_str(), kFlags));
        if (!directory) {
            directory.reset(openat(fresh.get(), layer.c_str(), kFlags));
            moved.push_back(layer);
        }
        const auto bytes = layer_bytes(std::move(directory));
        if (!bytes) {
            return bytes.error();
        }
        result.image.bytes += *bytes;
    }
    // All of it, at once: what is renamed must be on the medium before its name is.
    if (!moved.empty() && syncfs(fresh.get()) != 0) {
        return errno_error("cannot write the image store to its medium");
    }
    for (const auto& layer : moved) {
        if (renameat(fresh.get(), layer.c_str(), layers.get(), layer.c_str()) != 0) {
            return errno_error(cat("cannot add layer '", layer, "'"));
        }
    }
    if (!moved.empty() && fsync(layers.get()) != 0) {
        return errno_error("cannot sync the image store");
    }
    result.new_layers = moved.size();
    const auto& digest = result.image.digest;
    if (auto written = write_file_atomically(cat(at("manifests"), "/", digest), encode_image(result.image), 0600);
        !written) {
        return written;
    }
    return set_name(result.name, digest);
}

Result<ImportResult> ImageStore::add(const ImportRequest& request) {
    auto source = open_source(request.file);
    const auto present = list_directory(at("layers"));
    if (!source || !present) {
        return source ? present.error() : std::move(source).error();
    }
    std::array<int, 2> ends{};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return errno_error("cannot make a socket");
    }
    const UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    ImportOrder order{
        source->get(), theirs.get(), base_name(request.file), {present->begin(), present->end()}, request.max_bytes};
    CageSpec cage;
    cage.directory = at("new");
    cage.max_file = request.max_bytes;
    // The lock stays with the child: while it lives, nobody else may clear what it writes.
    cage.channel = theirs.get();
    cage.keep = {source->get(), lock_.get()};
    cage.inside = [&order] { return import_in_cage(order); };
    cage.failed = [&order](const Error& error) {
        (void)send_message(order.channel, 'E', cat(error.errno_code, std::string(1, '\0'), error.what));
    };
    const auto child = start_in_cage(cage);
    if (!child) {
        return child.error();
    }
    theirs.reset();
    auto result = receive(request, ours.get());
    end_child(*child);
    auto done = result ? publish(*result) : Status(result.error());
    if (!done) {
        (void)clear_new();
        (void)remove_loose_layers();
        return std::move(done).error();
    }
    return result;
}

}  // namespace viscum
