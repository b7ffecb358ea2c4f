// SPDX-License-Identifier: GPL-2.0-only
// The image store, as viscum-image writes it. controller/image/image.h has its form.
//
// What is added is made in new/, written to the medium, and then moved: layers, the record, the name, each durable
// before the next. What is removed goes the other way round. So at any instant, also that of a power cut, a name leads
// to a whole image, and what nothing leads to is found and removed by the next run.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/instance.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "controller/image/image.h"
#include "controller/image/unpack.h"

namespace viscum {

struct ImportRequest {
    std::string file;
    std::string name;  // empty: the image's own
    std::uint64_t max_bytes = kMaxImageBytes;
};

struct ImportResult {
    std::string name;
    Image image;
    std::size_t new_layers = 0;
    LeftOut left_out;
};

struct ListedImage {
    std::string name;  // empty: it has none
    std::string digest;
    std::optional<Image> image;  // none: its record is damaged
};

/// By name; those without one last. Needs no lock.
Result<std::vector<ListedImage>> list_images(const Instance& instance);

class ImageStore {
public:
    /// Makes the store where there is none, waits some seconds for another that changes it (then errno_code EBUSY), and
    /// removes what an interrupted run left.
    static Result<ImageStore> open(const Instance& instance);

    /// errno_code EBADMSG: the image is not valid; ENOSPC: it does not fit. The same image again only sets the name.
    Result<ImportResult> add(const ImportRequest& request);

    /// `reference`: a name, or a digest with all its names. errno_code ENOENT, or EBUSY for an image among `in_use`.
    Status remove(const std::string& reference, const std::set<std::string>& in_use);

    /// Removes images without name, but for those `in_use`, and layers without image.
    Status prune(const std::set<std::string>& in_use);

private:
    ImageStore(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    [[nodiscard]] std::string at(std::string_view name) const { return path_ + "/" + std::string(name); }
    Status clear_new() const;
    Status remove_loose_layers() const;
    Result<std::set<std::string>> used_layers() const;
    Result<ImportResult> receive(const ImportRequest& request, int channel) const;
    Status publish(ImportResult& result) const;
    Status set_name(const std::string& name, const std::string& digest) const;

    std::string path_;
    UniqueFd lock_;
};

}  // namespace viscum
