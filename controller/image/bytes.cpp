// SPDX-License-Identifier: GPL-2.0-only
#include "controller/image/bytes.h"

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.h"

namespace viscum {
namespace {

// Files of any size are read on every machine, on 32 bits as well: what is held in memory at once is what has limits.
static_assert(sizeof(off_t) == sizeof(std::uint64_t), "files of more than 2 GB: -D_FILE_OFFSET_BITS=64");

constexpr std::size_t kChunk = 64UL * 1024;

/// As much of `left` bytes as `size` has room for.
std::size_t room(std::size_t size, std::uint64_t left) {
    return left < size ? static_cast<std::size_t>(left) : size;
}

la_ssize_t feed(archive* handle, void* data, const void** buffer) {
    auto& input = *static_cast<ArchiveInput*>(data);
    if (!input.error) {
        const auto got = input.reader.read(input.buffer.data(), input.buffer.size());
        if (got) {
            *buffer = input.buffer.data();
            return static_cast<la_ssize_t>(*got);
        }
        input.error = got.error();
    }
    archive_set_error(handle, input.error->errno_code, "%s", input.error->what.c_str());
    return ARCHIVE_FATAL;
}

// libarchive 3.6 takes a negative answer for progress and asks for ever: an error counts as "nothing passed over",
// after which it reads, and is told.
la_int64_t pass_over(archive*, void* data, la_int64_t count) {
    auto& input = *static_cast<ArchiveInput*>(data);
    if (input.error || count <= 0) {
        return 0;
    }
    const auto passed = input.reader.skip(static_cast<std::uint64_t>(count));
    if (!passed) {
        input.error = passed.error();
        return 0;
    }
    return static_cast<la_int64_t>(*passed);
}

}  // namespace

Result<std::uint64_t> ByteReader::skip(std::uint64_t count) {
    std::vector<char> buffer(room(kChunk, count));
    std::uint64_t passed = 0;
    while (passed < count) {
        const auto got = read(buffer.data(), room(buffer.size(), count - passed));
        if (!got) {
            return got.error();
        }
        if (*got == 0) {
            break;
        }
        passed += *got;
    }
    return passed;
}

Result<std::size_t> FileReader::read(char* into, std::size_t size) {
    const auto wanted = room(size, left_);
    while (true) {
        const auto got = pread(fd_, into, wanted, static_cast<off_t>(offset_));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return errno_error("cannot read the image's file");
        }
        const auto count = static_cast<std::size_t>(got);
        offset_ += count;
        left_ -= count;
        return count;
    }
}

Result<std::uint64_t> FileReader::skip(std::uint64_t count) {
    const auto passed = std::min(count, left_);
    offset_ += passed;
    left_ -= passed;
    return passed;
}

Result<std::size_t> PartReader::read(char* into, std::size_t size) {
    if (left_ == 0) {
        return std::size_t{0};
    }
    auto got = inner_.read(into, room(size, left_));
    if (got) {
        left_ -= *got;
    }
    return got;
}

void Sha256::add(const char* bytes, std::size_t size) {
    crypto_hash_sha256_update(&state_, reinterpret_cast<const unsigned char*>(bytes), size);
}

std::string Sha256::digits() {
    std::array<unsigned char, crypto_hash_sha256_BYTES> sum{};
    crypto_hash_sha256_final(&state_, sum.data());
    std::array<char, 2 * crypto_hash_sha256_BYTES + 1> text{};
    sodium_bin2hex(text.data(), text.size(), sum.data(), sum.size());
    return text.data();
}

Result<std::size_t> HashingReader::read(char* into, std::size_t size) {
    auto got = inner_.read(into, size);
    if (!got) {
        return got;
    }
    if (*got > limit_ - count_) {
        return bad_image(cat("more than ", limit_, " bytes"));
    }
    count_ += *got;
    hash_.add(into, *got);
    return got;
}

Result<std::string> HashingReader::finish() {
    std::vector<char> buffer(kChunk);
    while (true) {
        const auto got = read(buffer.data(), buffer.size());
        if (!got) {
            return got.error();
        }
        if (*got == 0) {
            return hash_.digits();
        }
    }
}

ArchiveInput::ArchiveInput(ByteReader& from) : reader(from), buffer(kChunk) {}

void ArchiveDeleter::operator()(archive* handle) const {
    archive_read_free(handle);
}

Status open_archive(archive* handle, ArchiveInput& input) {
    if (archive_read_open2(handle, &input, nullptr, feed, pass_over, nullptr) != ARCHIVE_OK) {
        return archive_error(handle, input, "cannot read");
    }
    return {};
}

Error archive_error(archive* handle, const ArchiveInput& input, std::string_view context) {
    if (input.error) {
        return *input.error;
    }
    const char* what = archive_error_string(handle);
    const int code = archive_errno(handle) == ENOMEM ? ENOMEM : EBADMSG;
    return {code, cat(context, ": ", what == nullptr ? "not what it should be" : what)};
}

Compression compression_of(std::string_view start) {
    if (start.starts_with("\x1f\x8b")) {
        return Compression::gzip;
    }
    return start.starts_with("\x28\xb5\x2f\xfd") ? Compression::zstd : Compression::none;
}

Result<std::unique_ptr<Inflater>> Inflater::open(ByteReader& inner, Compression compression) {
    std::unique_ptr<Inflater> made(new Inflater(inner));
    made->handle_.reset(archive_read_new());
    archive* handle = made->handle_.get();
    const int filter = compression == Compression::gzip ? ARCHIVE_FILTER_GZIP : ARCHIVE_FILTER_ZSTD;
    // Exactly this filter: libarchive's own guess would also take uuencoded, nested and other streams. A warning means
    // that it would start a program for it.
    if (handle == nullptr || archive_read_support_format_raw(handle) != ARCHIVE_OK ||
        archive_read_append_filter(handle, filter) != ARCHIVE_OK) {
        return Error{ENOTSUP, cat("this libarchive cannot read ", compression == Compression::gzip ? "gzip" : "zstd")};
    }
    if (auto opened = open_archive(handle, made->input_); !opened) {
        return std::move(opened).error();
    }
    archive_entry* entry = nullptr;
    const int found = archive_read_next_header(handle, &entry);
    if (found == ARCHIVE_EOF) {
        made->ended_ = true;
    } else if (found != ARCHIVE_OK) {
        return archive_error(handle, made->input_, "cannot decompress");
    }
    return made;
}

Result<std::size_t> Inflater::read(char* into, std::size_t size) {
    if (ended_) {
        return std::size_t{0};
    }
    const auto got = archive_read_data(handle_.get(), into, size);
    if (got < 0) {
        return archive_error(handle_.get(), input_, "cannot decompress");
    }
    ended_ = got == 0;
    return static_cast<std::size_t>(got);
}

}  // namespace viscum
