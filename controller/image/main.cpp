// SPDX-License-Identifier: GPL-2.0-only
// viscum-image: imports, lists and removes images. Run by viscumctl, and by hand.
#include <sodium.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/build_info.h"
#include "base/text.h"
#include "controller/image/store.h"
#include "controller/ipc/json.h"

namespace {

using namespace viscum;

enum class Exit : std::uint8_t { done = 0, failed = 1, invalid = 2, refused = 5, no_such_image = 6 };

constexpr std::size_t kShortDigest = 12;

constexpr std::string_view kUsage =
    "Usage: viscum-image [--instance NAME] [--json] VERB\n"
    "  import FILE [--name NAME] [--limit SIZE]   add an image: an OCI layout (a directory or a tar), or what\n"
    "                                             'docker save' wrote; SIZE is 512M, 2G, ...: unpacked, at most\n"
    "  list                                       one line per image\n"
    "  remove NAME [--in-use DIGEST]...           remove an image, and what no other image needs\n"
    "  prune [--in-use DIGEST]...                 remove images without a name\n"
    "Exit codes: 0 done, 2 usage or invalid image, 5 refused, 6 no such image, 1 anything else.\n";

struct Arguments {
    std::string instance = Instance{}.name;
    bool json = false;
    bool help = false;
    bool version = false;
    std::vector<std::string> words;  // the verb and what it is about
    ImportRequest request;
    std::set<std::string> in_use;
};

void write_out(int fd, std::string_view text) {
    while (!text.empty()) {
        const auto written = write(fd, text.data(), text.size());
        if (written < 0 && errno != EINTR) {
            return;
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
}

/// What others chose must not steer the terminal.
std::string printable(std::string text) {
    std::ranges::replace_if(
        text, [](char c) { return c < ' ' || c > '~'; }, '?');
    return text;
}

std::string size_text(std::uint64_t bytes) {
    constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    auto value = static_cast<double>(bytes);
    for (; value >= 1024 && unit + 1 < kUnits.size(); ++unit) {
        value /= 1024;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, kUnits[unit]);
    return text.data();
}

/// "512M": digits and K, M or G.
std::optional<std::uint64_t> parse_size(std::string_view text) {
    constexpr std::string_view kUnits = "KMG";
    const auto unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
    if (unit == std::string_view::npos) {
        return {};
    }
    const auto number = parse_decimal(text.substr(0, text.size() - 1), 1'000'000);
    return number && *number > 0 ? std::optional(*number << (10 * (unit + 1))) : std::nullopt;
}

int fail(const Arguments& args, Exit code, const std::string& what, const std::string& hint) {
    if (args.json) {
        JsonOut error;
        error.field("message", what);
        error.field("hint", hint);
        JsonOut document;
        document.member("error", std::move(error).text());
        document.field("code", static_cast<std::uint64_t>(code));
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
    } else {
        write_out(STDERR_FILENO, cat("viscum-image: ", printable(what), "\n",
                                     hint.empty() ? "" : cat("  hint: ", printable(hint), "\n")));
    }
    return static_cast<int>(code);
}

int fail(const Arguments& args, const Error& error) {
    switch (error.errno_code) {
        case EBADMSG: return fail(args, Exit::invalid, error.what, "");
        case EBUSY: return fail(args, Exit::refused, error.what, "try again when it is done");
        case EPERM:
        case EACCES: return fail(args, Exit::failed, error.what, geteuid() == 0 ? "" : "run it as root");
        case ENOSPC:
            return fail(args, Exit::failed, error.what, "remove images that are not needed: viscumctl image list");
        default: return fail(args, Exit::failed, error.what, "");
    }
}

std::string describe_left_out(const LeftOut& left_out) {
    std::vector<std::string> parts;
    if (left_out.set_id > 0) {
        parts.push_back(cat(left_out.set_id, " files without their set-id bits"));
    }
    if (left_out.attributes > 0) {
        parts.push_back(cat(left_out.attributes, " files without their extended attributes"));
    }
    if (left_out.fifos > 0) {
        parts.push_back(cat(left_out.fifos, " FIFOs left out"));
    }
    return join(parts, ", ");
}

void image_fields(JsonOut& out, const std::string& name, const std::string& digest, const Image* image) {
    out.field("name", name);
    out.field("digest", digest);
    out.field("damaged", image == nullptr);
    out.field("bytes", image == nullptr ? std::uint64_t{0} : image->bytes);
    out.field("layers", static_cast<std::uint64_t>(image == nullptr ? 0 : image->layers.size()));
}

int import(const Arguments& args, ImageStore& store) {
    const auto added = store.add(args.request);
    if (!added) {
        return fail(args, added.error().in(cat("cannot import '", args.request.file, "'")));
    }
    const std::string notes = describe_left_out(added->left_out);
    if (args.json) {
        JsonOut image;
        image_fields(image, added->name, added->image.digest, &added->image);
        image.field("new_layers", static_cast<std::uint64_t>(added->new_layers));
        image.field("left_out", notes);
        JsonOut document;
        document.member("image", std::move(image).text());
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
        return 0;
    }
    const auto count = added->image.layers.size();
    write_out(STDOUT_FILENO, cat("imported ", added->name, ": ", added->image.digest.substr(0, kShortDigest), ", ",
                                 count, count == 1 ? " layer (" : " layers (", added->new_layers, " new), ",
                                 size_text(added->image.bytes), "\n", notes.empty() ? "" : cat("  ", notes, "\n")));
    return 0;
}

int list(const Arguments& args, const Instance& instance) {
    const auto images = list_images(instance);
    if (!images) {
        return fail(args, images.error());
    }
    if (args.json) {
        std::string items;
        for (const auto& image : *images) {
            JsonOut out;
            image_fields(out, image.name, image.digest, image.image ? &*image.image : nullptr);
            items += cat(items.empty() ? "" : ",", std::move(out).text());
        }
        JsonOut document;
        document.member("images", cat("[", items, "]"));
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
        return 0;
    }
    std::size_t width = std::string_view("NAME").size();
    for (const auto& image : *images) {
        width = std::max(width, image.name.size());
    }
    const auto row = [width](const std::string& name, const std::string& digest, const std::string& size,
                             const std::string& layers) {
        const std::string gap(width - name.size() + 2, ' ');
        return cat(name, gap, digest, "  ", std::string(10 - std::min<std::size_t>(size.size(), 10), ' '), size, "  ",
                   layers, "\n");
    };
    std::string text = images->empty() ? "no images\n" : row("NAME", "DIGEST      ", "SIZE", "LAYERS");
    for (const auto& image : *images) {
        text += row(image.name.empty() ? "-" : image.name, image.digest.substr(0, kShortDigest),
                    image.image ? size_text(image.image->bytes) : "damaged",
                    image.image ? cat(image.image->layers.size()) : "");
    }
    write_out(STDOUT_FILENO, text);
    return 0;
}

int remove(const Arguments& args, ImageStore& store, const std::string& name) {
    if (const auto removed = store.remove(name, args.in_use); !removed) {
        const int code = removed.error().errno_code;
        if (code == ENOENT) {
            return fail(args, Exit::no_such_image, removed.error().what, "see: viscumctl image list");
        }
        return code == EBUSY ? fail(args, Exit::refused, removed.error().what, "remove the services that use it first")
                             : fail(args, removed.error());
    }
    if (args.json) {
        JsonOut document;
        document.field("removed", name);
        write_out(STDOUT_FILENO, std::move(document).text() + "\n");
    } else {
        write_out(STDOUT_FILENO, cat("removed ", printable(name), "\n"));
    }
    return 0;
}

int prune(const Arguments& args, ImageStore& store) {
    if (const auto done = store.prune(args.in_use); !done) {
        return fail(args, done.error());
    }
    if (args.json) {
        write_out(STDOUT_FILENO, "{}\n");
    }
    return 0;
}

/// Why the command line is not understood; empty: it is.
std::string take_option(Arguments& args, std::string_view option, const std::string* value) {
    if (value == nullptr) {
        return cat(option, " needs a value");
    }
    if (option == "--instance") {
        args.instance = *value;
    } else if (option == "--name") {
        args.request.name = *value;
        return is_image_name(*value) ? "" : cat("'", *value, "' is no name for an image");
    } else if (option == "--in-use") {
        args.in_use.insert(*value);
        return is_image_digest(*value) ? "" : cat("'", *value, "' is no digest of an image");
    } else if (option == "--limit") {
        const auto size = parse_size(*value);
        args.request.max_bytes = size.value_or(0);
        return size ? "" : cat("'", *value, "' is no size");
    } else {
        return cat("there is no option '", option, "'");
    }
    return "";
}

std::string read_arguments(const std::vector<std::string>& words, Arguments& args) {
    bool options = true;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (!options || !word.starts_with('-') || word == "-") {
            args.words.push_back(word);
        } else if (word == "--") {
            options = false;
        } else if (word == "--json") {
            args.json = true;
        } else if (word == "--help" || word == "-h") {
            args.help = true;
        } else if (word == "--version") {
            args.version = true;
        } else {
            const auto equals = word.find('=');
            const std::string joined = equals == std::string::npos ? "" : word.substr(equals + 1);
            const std::string* value = equals != std::string::npos ? &joined
                                       : i + 1 < words.size()      ? &words[++i]
                                                                   : nullptr;
            if (auto mistake = take_option(args, word.substr(0, equals), value); !mistake.empty()) {
                return mistake;
            }
        }
    }
    return "";
}

int run_verb(const Arguments& args, const Instance& instance) {
    const std::string& verb = args.words.front();
    if (verb == "list") {
        return list(args, instance);
    }
    auto store = ImageStore::open(instance);
    if (!store) {
        return fail(args, store.error());
    }
    if (verb == "import") {
        return import(args, *store);
    }
    return verb == "remove" ? remove(args, *store, args.words[1]) : prune(args, *store);
}

int run(const std::vector<std::string>& words) {
    Arguments args;
    // Known before a mistake is met, so that it is told in the form that was asked for.
    args.json = std::ranges::find(words, "--json") != words.end();
    if (const auto mistake = read_arguments(words, args); !mistake.empty()) {
        return fail(args, Exit::invalid, mistake, "see: viscum-image --help");
    }
    if (args.help || args.version) {
        write_out(STDOUT_FILENO, args.help ? std::string(kUsage) : cat("viscum-image ", kVersion, "\n"));
        return 0;
    }
    const std::string verb = args.words.empty() ? "" : args.words.front();
    const std::size_t wanted = verb == "import" || verb == "remove" ? 2 : verb == "list" || verb == "prune" ? 1 : 0;
    if (wanted == 0 || args.words.size() != wanted) {
        return fail(args, Exit::invalid,
                    wanted == 0 ? (verb.empty() ? "no verb" : cat("there is no verb '", verb, "'"))
                                : cat("'", verb, "' takes ", wanted == 2 ? "one argument" : "no argument"),
                    "verbs are: import FILE, list, remove NAME, prune");
    }
    if (verb == "import") {
        args.request.file = args.words[1];
    }
    const auto instance = Instance::parse(args.instance);
    if (!instance) {
        return fail(args, Exit::invalid, instance.error().what, "");
    }
    if (sodium_init() < 0) {
        return fail(args, Exit::failed, "cannot start libsodium", "");
    }
    return run_verb(args, *instance);
}

}  // namespace

int main(int argc, char** argv) {
    return run({argv + 1, argv + argc});
}
