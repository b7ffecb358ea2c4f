// SPDX-License-Identifier: GPL-2.0-only
// Bytes one after the other, from a file, through a decompressor, through a checksum: nothing is ever held whole.
#pragma once

#include <sodium.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// libarchive's own name for it.
struct archive;

namespace viscum {

/// What is wrong with an image, as against what is wrong with this machine: errno_code EBADMSG.
inline Error bad_image(std::string what) {
    return {EBADMSG, std::move(what)};
}

class ByteReader {
public:
    ByteReader() = default;
    ByteReader(const ByteReader&) = delete;
    ByteReader& operator=(const ByteReader&) = delete;
    virtual ~ByteReader() = default;
    /// At least one byte; 0 at the end.
    virtual Result<std::size_t> read(char* into, std::size_t size) = 0;
    /// Passes over bytes, and says how many there were.
    virtual Result<std::uint64_t> skip(std::uint64_t count);
};

/// A part of a file that stays open elsewhere.
class FileReader : public ByteReader {
public:
    FileReader(int fd, std::uint64_t offset, std::uint64_t size) : fd_(fd), offset_(offset), left_(size) {}
    Result<std::size_t> read(char* into, std::size_t size) override;
    Result<std::uint64_t> skip(std::uint64_t count) override;

private:
    int fd_;
    std::uint64_t offset_;
    std::uint64_t left_;
};

/// The first `size` bytes of another reader, which outlives this one.
class PartReader : public ByteReader {
public:
    PartReader(ByteReader& inner, std::uint64_t size) : inner_(inner), left_(size) {}
    Result<std::size_t> read(char* into, std::size_t size) override;

private:
    ByteReader& inner_;
    std::uint64_t left_;
};

class Sha256 {
public:
    Sha256() { crypto_hash_sha256_init(&state_); }
    void add(const char* bytes, std::size_t size);
    /// 64 hexadecimal digits; to be called once.
    std::string digits();

private:
    crypto_hash_sha256_state state_{};
};

/// Takes the checksum of what is read through it, and stops at a limit. The inner reader outlives this one.
class HashingReader : public ByteReader {
public:
    HashingReader(ByteReader& inner, std::uint64_t limit) : inner_(inner), limit_(limit) {}
    Result<std::size_t> read(char* into, std::size_t size) override;
    /// Reads to the end; the SHA-256 of everything.
    Result<std::string> finish();
    [[nodiscard]] std::uint64_t count() const { return count_; }

private:
    ByteReader& inner_;
    Sha256 hash_;
    std::uint64_t limit_;
    std::uint64_t count_ = 0;
};

/// How libarchive is fed; an error of the reader is kept, since libarchive cannot carry it.
struct ArchiveInput {
    explicit ArchiveInput(ByteReader& from);
    ByteReader& reader;
    std::vector<char> buffer;
    std::optional<Error> error;
};

struct ArchiveDeleter {
    void operator()(archive* handle) const;
};
using ArchiveHandle = std::unique_ptr<archive, ArchiveDeleter>;

/// Opens `handle` on `input`, which does not move and outlives it.
Status open_archive(archive* handle, ArchiveInput& input);
/// Why libarchive failed: the reader's own error, or an image's.
Error archive_error(archive* handle, const ArchiveInput& input, std::string_view context);

enum class Compression : std::uint8_t { none, gzip, zstd };

/// By the first bytes.
Compression compression_of(std::string_view start);

/// The bytes that a compressed stream stands for. The inner reader outlives this one.
class Inflater : public ByteReader {
public:
    static Result<std::unique_ptr<Inflater>> open(ByteReader& inner, Compression compression);
    Result<std::size_t> read(char* into, std::size_t size) override;

private:
    explicit Inflater(ByteReader& inner) : input_(inner) {}
    ArchiveInput input_;
    ArchiveHandle handle_;  // goes first: it reads from input_
    bool ended_ = false;
};

}  // namespace viscum
