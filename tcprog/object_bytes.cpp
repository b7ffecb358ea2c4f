// SPDX-License-Identifier: GPL-2.0-only
// Apart from what is done with them: a test puts others in their place.
#include "tcprog/object.h"

extern "C" const char viscum_bpf_object[];
extern "C" const char viscum_bpf_object_end[];

namespace viscum {

std::string_view object_bytes() {
    return {viscum_bpf_object, static_cast<std::size_t>(viscum_bpf_object_end - viscum_bpf_object)};
}

}  // namespace viscum
