// SPDX-License-Identifier: GPL-2.0-only
#include "tests/faults/network/tables.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "tcprog/abi.h"

namespace viscum {
namespace {

constexpr std::size_t kMostDevices = 4096;

int bpf_call(int command, bpf_attr& attributes) {
    return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t address(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

}  // namespace

std::set<std::uint32_t> lans_in_table(Scene& scene) {
    const std::string path = cat(scene.viscumd().instance().bpf_dir(), "/v", VS_ABI, "/vs_lans");
    bpf_attr get{};
    get.pathname = address(path.c_str());
    const UniqueFd map(bpf_call(BPF_OBJ_GET, get));
    REQUIRE_MESSAGE(map, path);
    std::set<std::uint32_t> keys;
    std::uint32_t key = 0;
    bpf_attr next{};
    next.map_fd = static_cast<std::uint32_t>(map.get());
    next.next_key = address(&key);
    while (keys.size() < kMostDevices && bpf_call(BPF_MAP_GET_NEXT_KEY, next) == 0) {
        keys.insert(key);
        next.key = address(&key);
    }
    return keys;
}

void pin_dropping_program(const std::string& path) {
    std::array<bpf_insn, 2> code{};
    code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
    code[0].imm = TC_ACT_SHOT;
    code[1].code = BPF_JMP | BPF_EXIT;
    bpf_attr load{};
    load.prog_type = BPF_PROG_TYPE_SCHED_CLS;
    load.insns = address(code.data());
    load.insn_cnt = code.size();
    load.license = address("GPL");
    const UniqueFd program(bpf_call(BPF_PROG_LOAD, load));
    REQUIRE_MESSAGE(program, "cannot load a program");
    bpf_attr pin{};
    pin.pathname = address(path.c_str());
    pin.bpf_fd = static_cast<std::uint32_t>(program.get());
    REQUIRE(bpf_call(BPF_OBJ_PIN, pin) == 0);
}

}  // namespace viscum
