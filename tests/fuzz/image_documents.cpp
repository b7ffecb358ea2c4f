// SPDX-License-Identifier: GPL-2.0-only
// The JSON documents of an image, and the record that is made of them.
#include "base/text.h"
#include "controller/image/documents.h"
#include "controller/image/image.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

bool is_digest(const std::string& text) {
    return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

template <class T>
const T* value_or_reason(const Result<T>& result) {
    require(result || (result.error().errno_code == EBADMSG && !result.error().what.empty()), "a refusal says why");
    return result ? &*result : nullptr;
}

void check_descriptor(const Descriptor& one) {
    require(is_digest(one.digest), "a part is named by a digest");
    require(one.media_type.find('\0') == std::string::npos, "no text holds a NUL");
}

/// What is kept of a configuration is read back by viscumd.
void check_record(const ImageConfig& config) {
    require(!config.diff_ids.empty() && config.diff_ids.size() <= kMaxLayers, "an image has layers");
    Image image;
    image.digest = std::string(kImageDigits, '0');
    for (const auto& id : config.diff_ids) {
        require(is_digest(id), "a layer is named by a digest");
        const auto digest = id.substr(0, kImageDigits);
        if (std::find(image.layers.begin(), image.layers.end(), digest) == image.layers.end()) {
            image.layers.push_back(digest);
        }
    }
    image.command = config.command;
    image.env = config.env;
    image.directory = config.directory;
    image.stop_signal = config.stop_signal;
    const std::string record = encode_image(image);
    const auto read = decode_image(record, image.digest);
    require(record.size() > kMaxImageRecord || (read && *read == image), "a record is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(text_of(data, size));
    const auto index = read_index(text);
    if (const auto* read = value_or_reason(index)) {
        std::for_each(read->begin(), read->end(), check_descriptor);
        require(!read_manifest(text), "no text is index and manifest at once");
    }
    const auto manifest = read_manifest(text);
    if (const auto* read = value_or_reason(manifest)) {
        check_descriptor(read->config);
        std::for_each(read->layers.begin(), read->layers.end(), check_descriptor);
    }
    const auto config = read_config(text);
    if (const auto* read = value_or_reason(config)) {
        check_record(*read);
    }
    value_or_reason(read_saved(text));
    require(check_layout(text) || !check_layout(text).error().what.empty(), "a refusal says why");
    const auto record = decode_image(text, std::string(kImageDigits, 'a'));
    if (const auto* read = value_or_reason(record)) {
        require(encode_image(*read) == text, "a record has one form");
    }
    return 0;
}
