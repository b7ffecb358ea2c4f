// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/importer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/text.h"
#include "controller/image/accounts.h"
#include "controller/image/channel.h"
#include "controller/image/image.h"
#include "controller/image/resolve.h"

namespace viscum {
namespace {

// Of a tar beside the files' bytes: headers and padding, 1.5 KiB an entry and long names.
constexpr std::uint64_t kMaxTarOverhead = 512ULL << 20;

Result<Message> ask(int channel, char kind, std::string_view text, const std::vector<int>& descriptors) {
    if (auto sent = send_message(channel, kind, text, descriptors); !sent) {
        return std::move(sent).error();
    }
    auto answer = receive_message(channel);
    if (!answer || !*answer) {
        return answer ? Error{EPIPE, "the parent is gone"} : std::move(answer).error();
    }
    return (*answer)->kind == 'k' ? Result<Message>(std::move(**answer)) : Error{ENOTSUP, (*answer)->text};
}

std::string short_digest(const std::string& digest) {
    return digest.substr(0, kImageDigits);
}

class Importer {
public:
    explicit Importer(const ImportOrder& order) : order_(order) { budget_.bytes = order.max_bytes; }

    Status run() {
        root_.reset(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!root_) {
            return errno_error("cannot open the image store");
        }
        auto container = Container::open(UniqueFd(fcntl(order_.source, F_DUPFD_CLOEXEC, 0)));
        if (!container) {
            return std::move(container).error();
        }
        auto source = resolve_image(**container, order_.base_name, this_machine());
        if (!source) {
            return std::move(source).error();
        }
        if (auto unpacked = unpack_layers(**container, *source); !unpacked) {
            return unpacked;
        }
        auto image = make_record(*source);
        if (!image) {
            return std::move(image).error();
        }
        const std::string record = encode_image(*image);
        if (record.size() > kMaxImageRecord) {
            return bad_image("its configuration is too long");
        }
        const std::string zero(1, '\0');
        return send_message(order_.channel, 'R',
                            cat(source->name, zero, image->digest, zero, left_out(), zero, record));
    }

private:
    Status unpack_layers(Container& container, const ImageSource& source) {
        std::vector<const LayerSource*> needed;
        std::set<std::string> known = order_.present;
        std::uint64_t bytes = 0;
        for (const auto& layer : source.layers) {
            if (known.insert(short_digest(layer.diff_id)).second) {
                needed.push_back(&layer);
                bytes += layer.size;
            }
        }
        if (auto space = check_space(root_.get(), bytes); !space) {
            return space;
        }
        std::ranges::stable_sort(needed, {}, &LayerSource::offset);
        for (const auto* layer : needed) {
            if (auto done = unpack_layer(container, *layer); !done) {
                return std::move(done).error().in(cat("layer ", layer->diff_id.substr(0, 12)));
            }
        }
        return {};
    }

    Status unpack_layer(Container& container, const LayerSource& layer) {
        const std::string digest = short_digest(layer.diff_id);
        if (mkdirat(root_.get(), digest.c_str(), 0755) != 0) {
            return errno_error("cannot make a directory in the image store");
        }
        UniqueFd directory(openat(root_.get(), digest.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        auto stored = container.read(layer.member);
        if (!directory || !stored) {
            return directory ? (stored.error().errno_code == ENOENT ? bad_image("it is missing") : stored.error())
                             : errno_error("cannot open a directory of the image store");
        }
        HashingReader blob(**stored, layer.size);
        std::unique_ptr<Inflater> inflated;
        if (layer.compression != Compression::none) {
            auto opened = Inflater::open(blob, layer.compression);
            if (!opened) {
                return std::move(opened).error();
            }
            inflated = std::move(*opened);
        }
        std::unique_ptr<HashingReader> tar;  // of a layer that is not compressed it would hash the same bytes again
        if (inflated) {
            tar = std::make_unique<HashingReader>(*inflated, budget_.bytes + kMaxTarOverhead);
        }
        LayerTree tree(std::move(directory), [this](int fd) {
            const auto answer = ask(order_.channel, 'O', "", {fd});
            return answer ? Status() : Status(answer.error());
        });
        Unpacker unpacker(tree, root_.get(), budget_, left_out_);
        if (auto done = unpacker.unpack(tar ? *tar : blob); !done) {
            return done;
        }
        return verify(layer, tar.get(), blob);
    }

    static Status verify(const LayerSource& layer, HashingReader* tar, HashingReader& blob) {
        const auto content = tar == nullptr ? Result<std::string>(std::string()) : tar->finish();
        const auto digest = content ? blob.finish() : content.error();
        if (!digest) {
            return digest.error();
        }
        if ((tar == nullptr ? *digest : *content) != layer.diff_id) {
            return bad_image("it is damaged: its content's checksum is not what it should be");
        }
        if (blob.count() != layer.size || (!layer.digest.empty() && *digest != layer.digest)) {
            return bad_image("it is damaged: its checksum or size is not what it should be");
        }
        return {};
    }

    Result<Image> make_record(const ImageSource& source) {
        Image image;
        image.digest = short_digest(source.digest);
        // Of a layer that comes twice the upper one shows all that the lower one does.
        for (auto layer = source.layers.rbegin(); layer != source.layers.rend(); ++layer) {
            const auto digest = short_digest(layer->diff_id);
            if (std::ranges::find(image.layers, digest) == image.layers.end()) {
                image.layers.insert(image.layers.begin(), digest);
            }
        }
        const auto user = find_user(source.config.user, image.layers);
        if (!user) {
            return user.error();
        }
        image.command = source.config.command;
        image.env = source.config.env;
        image.directory = source.config.directory;
        image.uid = user->uid;
        image.gid = user->uid ? user->gid : std::nullopt;
        image.stop_signal = source.config.stop_signal;
        return image;
    }

    Result<ImageUser> find_user(const std::string& user, const std::vector<std::string>& layers) {
        if (user.empty()) {
            return ImageUser{};
        }
        const auto answer = ask(order_.channel, 'A', join(layers, "\n"), {});
        if (!answer) {
            return answer.error();
        }
        std::string passwd;
        std::string group;
        for (std::size_t i = 0; i < answer->descriptors.size() && i < answer->text.size(); ++i) {
            auto text = read_whole(answer->descriptors[i].get());
            if (!text) {
                return std::move(text).error();
            }
            (answer->text[i] == 'p' ? passwd : group) = std::move(*text);
        }
        return resolve_user(user, passwd, group);
    }

    static Result<std::string> read_whole(int fd) {
        FileReader reader(fd, 0, kMaxAccountFile);
        std::string text(kMaxAccountFile, '\0');
        std::size_t filled = 0;
        while (true) {
            const auto got = reader.read(text.data() + filled, text.size() - filled);
            if (!got || *got == 0) {
                text.resize(filled);
                return got ? Result<std::string>(std::move(text)) : got.error();
            }
            filled += *got;
        }
    }

    [[nodiscard]] std::string left_out() const {
        return cat(left_out_.set_id, " ", left_out_.attributes, " ", left_out_.fifos);
    }

    const ImportOrder& order_;
    UniqueFd root_;
    Budget budget_;
    LeftOut left_out_;
};

}  // namespace

int import_in_cage(const ImportOrder& order) {
    const auto done = Importer(order).run();
    if (!done) {
        const std::string zero(1, '\0');
        const auto what = done.error().what.substr(0, kMaxEntryPath);
        (void)send_message(order.channel, 'E', cat(done.error().errno_code, zero, what));
    }
    return done ? 0 : 1;
}

}  // namespace viscum
