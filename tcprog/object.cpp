// SPDX-License-Identifier: GPL-2.0-only
#include "tcprog/object.h"

#include <cstdio>

#include "base/text.h"
#include "tcprog/loader.h"

namespace viscum {
namespace {

/// libbpf's last words, kept for the error that we return. One thread, so one place.
std::string& last_words() {
    static std::string words;
    return words;
}

__attribute__((format(printf, 2, 0))) int keep_words(libbpf_print_level level, const char* format, va_list arguments) {
    if (level == LIBBPF_WARN) {
        char line[512];
        std::vsnprintf(line, sizeof line, format, arguments);
        std::string text(line);
        while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
            text.pop_back();
        }
        last_words() = text;
    }
    return 0;
}

}  // namespace

Result<BpfObject> open_object() {
    last_words().clear();
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = "viscum";
    BpfObject object(bpf_object__open_mem(object_bytes().data(), object_bytes().size(), &options));
    if (!object) {
        return libbpf_failure("cannot read the BPF object", errno);
    }
    return object;
}

void keep_libbpf_words() {
    libbpf_set_print(keep_words);
}

Error libbpf_failure(const std::string& context, int code) {
    Error error = errno_error(context, code);
    error.errno_code = is_for_now(positive_errno(code)) ? EIO : ENOEXEC;
    if (!last_words().empty()) {
        error.what += cat(" (", last_words(), ")");
    }
    return error;
}

}  // namespace viscum
