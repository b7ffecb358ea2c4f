// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/container.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "base/text.h"
#include "controller/image/tar.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxMembers = 10'000;
constexpr std::size_t kMaxMemberName = 4096;
constexpr int kMaxLinks = 8;

/// Counts what went through, since members are found by their offset.
class CountingReader : public ByteReader {
public:
    CountingReader(ByteReader& inner, std::uint64_t& count) : inner_(inner), count_(count) {}
    Result<std::size_t> read(char* into, std::size_t size) override {
        auto got = inner_.read(into, size);
        if (got) {
            count_ += *got;
        }
        return got;
    }

private:
    ByteReader& inner_;
    std::uint64_t& count_;
};

/// Keeps both readers of a part of a compressed stream.
class CountedPart : public ByteReader {
public:
    CountedPart(ByteReader& inner, std::uint64_t& count, std::uint64_t size)
        : counting_(inner, count), part_(counting_, size) {}
    Result<std::size_t> read(char* into, std::size_t size) override { return part_.read(into, size); }

private:
    CountingReader counting_;
    PartReader part_;
};

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

}  // namespace

std::optional<std::string> member_name(const std::string& path) {
    std::vector<std::string> kept;
    for (auto& part : split(path, '/')) {
        if (part == "..") {
            if (kept.empty()) {
                return {};
            }
            kept.pop_back();
        } else if (!part.empty() && part != ".") {
            kept.push_back(std::move(part));
        }
    }
    return kept.empty() ? std::nullopt : std::optional(join(kept, "/"));
}

Result<std::unique_ptr<Container>> Container::open(UniqueFd file) {
    std::unique_ptr<Container> made(new Container());
    made->file_ = std::move(file);
    struct stat info {};
    if (fstat(made->file_.get(), &info) != 0) {
        return errno_error("cannot look at the image's file");
    }
    made->directory_ = S_ISDIR(info.st_mode);
    if (made->directory_) {
        return made;
    }
    if (!S_ISREG(info.st_mode)) {
        return bad_image("neither a file nor a directory");
    }
    made->size_ = static_cast<std::uint64_t>(info.st_size);
    std::array<char, 4> start{};
    FileReader reader(made->file_.get(), 0, start.size());
    const auto got = reader.read(start.data(), start.size());
    if (!got) {
        return got.error();
    }
    made->compression_ = compression_of({start.data(), *got});
    if (auto done = made->index(); !done) {
        return std::move(done).error();
    }
    return made;
}

Status Container::restart() {
    current_.reset();
    inflated_.reset();
    position_ = 0;
    raw_ = std::make_unique<FileReader>(file_.get(), 0, size_);
    if (compression_ != Compression::none) {
        auto opened = Inflater::open(*raw_, compression_);
        if (!opened) {
            return std::move(opened).error();
        }
        inflated_ = std::move(*opened);
    }
    return {};
}

Status Container::add(const std::string& name, const Place& place) {
    if (name.size() > kMaxMemberName || places_.size() == kMaxMembers) {
        return bad_image(cat("more than ", kMaxMembers, " members, or a name longer than ", kMaxMemberName));
    }
    places_[name] = place;
    return {};
}

Status Container::index() {
    if (auto done = restart(); !done) {
        return done;
    }
    auto tar = TarReader::open(inflated_ ? *inflated_ : *raw_);
    while (tar) {
        const auto entry = (*tar)->next();
        if (!entry) {
            return entry.error();
        }
        if (!*entry) {
            // The position in the compressed stream is not known any more.
            return inflated_ ? restart() : Status();
        }
        const auto name = member_name((*entry)->path);
        if (!name || (*entry)->sparse) {
            continue;
        }
        Place place;
        if ((*entry)->kind == TarEntry::Kind::file) {
            place.member = {(*entry)->offset, (*entry)->size};
        } else if ((*entry)->kind == TarEntry::Kind::symlink) {
            place.link = member_name(folder_of(*name) + (*entry)->target).value_or("");
        } else if ((*entry)->kind == TarEntry::Kind::hardlink) {
            place.link = member_name((*entry)->target).value_or("");
        }
        if ((*entry)->kind == TarEntry::Kind::file || !place.link.empty()) {
            if (auto added = add(*name, place); !added) {
                return added;
            }
        }
    }
    return std::move(tar).error();
}

const Container::Place* Container::resolve(const std::string& name) const {
    auto at = places_.find(name);
    for (int links = 0; at != places_.end() && !at->second.link.empty() && links < kMaxLinks; ++links) {
        at = places_.find(at->second.link);
    }
    return at == places_.end() || !at->second.link.empty() ? nullptr : &at->second;
}

Result<UniqueFd> Container::open_beneath(const std::string& name) const {
    open_how how{};
    // Not blocking, so that a FIFO in the place of a file cannot hold us up.
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    UniqueFd fd(static_cast<int>(syscall(SYS_openat2, file_.get(), name.c_str(), &how, sizeof how)));
    if (!fd) {
        return errno_error(cat("cannot open '", name, "'"));
    }
    return fd;
}

Result<Container::Member> Container::find(const std::string& name) {
    if (directory_) {
        const auto fd = open_beneath(name);
        if (!fd) {
            return fd.error();
        }
        struct stat info {};
        if (fstat(fd->get(), &info) != 0 || !S_ISREG(info.st_mode)) {
            return bad_image(cat("'", name, "' is no plain file"));
        }
        return Member{0, static_cast<std::uint64_t>(info.st_size)};
    }
    const Place* place = resolve(name);
    return place == nullptr ? Result<Member>(Error{ENOENT, cat("there is no '", name, "' in it")}) : place->member;
}

Result<ByteReader*> Container::read(const std::string& name) {
    auto member = find(name);
    if (!member) {
        return std::move(member).error();
    }
    current_.reset();
    if (directory_) {
        auto fd = open_beneath(name);
        if (!fd) {
            return std::move(fd).error();
        }
        member_fd_ = std::move(*fd);
        current_ = std::make_unique<FileReader>(member_fd_.get(), 0, member->size);
        return current_.get();
    }
    if (compression_ == Compression::none) {
        current_ = std::make_unique<FileReader>(file_.get(), member->offset, member->size);
        return current_.get();
    }
    if (position_ > member->offset) {
        if (auto done = restart(); !done) {
            return std::move(done).error();
        }
    }
    const auto passed = inflated_->skip(member->offset - position_);
    if (!passed) {
        return passed.error();
    }
    position_ += *passed;
    current_ = std::make_unique<CountedPart>(*inflated_, position_, member->size);
    return current_.get();
}

Result<std::string> Container::text(const std::string& name, std::size_t limit) {
    const auto member = find(name);
    if (!member) {
        return member.error();
    }
    if (member->size > limit) {
        return bad_image(cat("'", name, "' is longer than ", limit, " bytes"));
    }
    auto reader = read(name);
    if (!reader) {
        return std::move(reader).error();
    }
    std::string text(static_cast<std::size_t>(member->size), '\0');  // at most `limit`
    std::size_t filled = 0;
    while (filled < text.size()) {
        const auto got = (*reader)->read(text.data() + filled, text.size() - filled);
        if (!got) {
            return got.error();
        }
        if (*got == 0) {
            return bad_image(cat("'", name, "' is cut off"));
        }
        filled += *got;
    }
    return text;
}

}  // namespace viscum
