// SPDX-License-Identifier: GPL-2.0-only
// viscum-test-verify OBJECT: loads each program of a BPF object by itself and prints how many instructions the kernel's
// verifier walked through, and whether the program was compiled for the processor or is interpreted:
//
//   vs_lan 20345 compiled
//
// Ends with 1 where the kernel refuses one; its reason is on standard error.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

namespace {

constexpr unsigned int kStatistics = 4;  // BPF_LOG_STATS of the kernel: no line for each instruction
// In the place of sizes that tcprog/loader.h takes from the configuration: the verifier looks at types alone.
constexpr unsigned int kEntries = 256;

struct Close {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};
using Object = std::unique_ptr<bpf_object, Close>;

/// All but one are left out.
Object load(const char* path, std::string_view only, std::array<char, 65'536>& log) {
    Object object(bpf_object__open(path));
    if (!object) {
        return nullptr;
    }
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object.get()) {
        if (bpf_map__max_entries(map) == 1) {
            bpf_map__set_max_entries(map, kEntries);
        }
    }
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) {
        bpf_program__set_autoload(program, only == bpf_program__name(program));
        bpf_program__set_log_level(program, kStatistics);
        bpf_program__set_log_buf(program, log.data(), log.size());
    }
    if (bpf_object__load(object.get()) != 0) {
        std::fprintf(stderr, "%.*s: refused\n%s\n", static_cast<int>(only.size()), only.data(), log.data());
        return nullptr;
    }
    return object;
}

/// The number in "processed N insns (limit …".
std::string processed(std::string_view log) {
    constexpr std::string_view kBefore = "processed ";
    const auto at = log.find(kBefore);
    if (at == std::string_view::npos) {
        return "?";
    }
    const auto number = log.substr(at + kBefore.size());
    return std::string(number.substr(0, number.find(' ')));
}

bool verify(const char* path, const char* name) {
    static std::array<char, 65'536> log;
    log.fill('\0');
    const Object object = load(path, name, log);
    if (!object) {
        return false;
    }
    bpf_prog_info info{};
    __u32 size = sizeof info;
    const int fd = bpf_program__fd(bpf_object__find_program_by_name(object.get(), name));
    if (bpf_obj_get_info_by_fd(fd, &info, &size) != 0) {
        std::perror(name);
        return false;
    }
    std::printf("%s %s %s\n", name, processed(log.data()).c_str(),
                info.jited_prog_len > 0 ? "compiled" : "interpreted");
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const Object object(argc == 2 ? bpf_object__open(argv[1]) : nullptr);
    if (!object) {
        std::fputs("usage: viscum-test-verify OBJECT\n", stderr);
        return 2;
    }
    bool good = true;
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) {
        good = verify(argv[1], bpf_program__name(program)) && good;
    }
    return good ? 0 : 1;
}
