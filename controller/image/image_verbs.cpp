// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/image_verbs.h"

#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "controller/image/say.h"
#include "controller/ipc/json.h"

namespace viscum {
namespace {

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

}  // namespace

int import_image(const Arguments& args, const Instance& instance) {
    auto store = ImageStore::open(instance);
    const auto added = store ? store->add(args.request) : store.error();
    if (!added) {
        return fail(args, store ? added.error().in(cat("cannot import '", args.request.file, "'")) : added.error());
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

int list_all(const Arguments& args, const Instance& instance) {
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

int remove_image(const Arguments& args, const Instance& instance) {
    const std::string& name = args.words[1];
    auto store = ImageStore::open(instance);
    if (!store) {
        return fail(args, store.error());
    }
    if (const auto removed = store->remove(name, args.in_use); !removed) {
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

int prune_all(const Arguments& args, const Instance& instance) {
    auto store = ImageStore::open(instance);
    auto done = store ? prune_bundles(instance, args.in_use) : Status(store.error());
    done = done ? store->prune(args.in_use) : std::move(done);
    if (!done) {
        return fail(args, done.error());
    }
    if (args.json) {
        write_out(STDOUT_FILENO, "{}\n");
    }
    return 0;
}

}  // namespace viscum
