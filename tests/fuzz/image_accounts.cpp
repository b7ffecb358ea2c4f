// SPDX-License-Identifier: GPL-2.0-only
// An image's passwd and group, and the names of members, entries and images.
#include "base/text.h"
#include "controller/image/accounts.h"
#include "controller/image/container.h"
#include "controller/image/image.h"
#include "controller/image/layer_tree.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

void check_names(const std::string& text) {
    if (const auto member = member_name(text)) {
        require(!member->empty() && !member->starts_with('/') && member_name(*member) == member,
                "a member's name is plain");
    }
    if (const auto path = entry_path(text)) {
        require(path->size() <= kMaxEntryDepth, "an entry is not too deep");
        for (const auto& name : *path) {
            require(!name.empty() && name != "." && name != ".." && name.size() <= 255 &&
                        name.find('/') == std::string::npos,
                    "an entry's path is made of names");
        }
    }
    if (const auto name = image_name_of(text)) {
        require(is_image_name(*name) && image_name_file(*name) == text, "a file stands for one name");
    }
    if (is_image_name(text)) {
        const auto file = image_name_file(text);
        require(file.find('/') == std::string::npos && file != "." && file != "..", "a name is a file's name");
        require(image_name_of(file) == text, "a name is read back from its file");
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Input input(data, size);
    const std::string user = input.chunk();
    const std::string passwd = input.bytes(input.number<std::uint16_t>());
    const std::string group = input.rest();
    const auto found = resolve_user(user, passwd, group);
    require(found || !found.error().what.empty(), "a refusal says why");
    if (found) {
        require(found->uid != 0U && found->gid != 0U, "root is no user of an image");
        require(found->uid != UINT32_MAX && found->gid != UINT32_MAX, "-1 is no id");
        require(found->uid || !found->gid, "a group belongs to a user");
    }
    check_names(std::string(text_of(data, size)));
    check_names(user);
    return 0;
}
