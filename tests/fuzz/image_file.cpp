// SPDX-License-Identifier: GPL-2.0-only
// An image's file: a tar, perhaps compressed, its members, and which image it is.
#include <sys/mman.h>
#include <unistd.h>

#include "controller/image/resolve.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

UniqueFd file_of(std::string_view bytes) {
    UniqueFd file(memfd_create("image", MFD_CLOEXEC));
    require(file && write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
            "a file can be made");
    return file;
}

void read_layers(Container& container, const ImageSource& image) {
    require(!image.layers.empty() && image.layers.size() == image.config.diff_ids.size(), "each layer has a diff_id");
    for (const auto& layer : image.layers) {
        const auto reader = container.read(layer.member);
        char bytes[512];
        std::uint64_t count = 0;
        while (reader && count <= layer.size) {
            const auto got = (*reader)->read(bytes, sizeof bytes);
            if (!got || *got == 0) {
                break;
            }
            count += *got;
        }
        require(count <= layer.size, "a member is no longer than it says");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto container = Container::open(file_of(text_of(data, size)));
    if (!container) {
        require(!container.error().what.empty(), "a refusal says why");
        return 0;
    }
    const auto image = resolve_image(**container, "web", {"linux", "amd64", ""});
    if (image) {
        read_layers(**container, *image);
    } else {
        require(!image.error().what.empty(), "a refusal says why");
    }
    for (const char* name : {"manifest.json", "index.json", "a", "d/a"}) {
        const auto text = (*container)->text(name, 1024);
        require(!text || text->size() <= 1024, "a member is no longer than is asked for");
    }
    return 0;
}
