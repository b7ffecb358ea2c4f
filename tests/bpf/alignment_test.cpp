// SPDX-License-Identifier: GPL-2.0-only
// Processors that do not read at odd addresses (MIPS): their kernels refuse a program that might. Others do so on
// demand.
#include <bpf/libbpf.h>
#include <doctest/doctest.h>
#include <linux/bpf.h>

#include <memory>

extern "C" const char viscum_bpf_object[];
extern "C" const char viscum_bpf_object_end[];

namespace {

struct ObjectClose {
    void operator()(bpf_object* object) const { bpf_object__close(object); }
};

}  // namespace

TEST_CASE("bpf: the programs never read a packet at an odd address") {
    const std::unique_ptr<bpf_object, ObjectClose> object(bpf_object__open_mem(
        viscum_bpf_object, static_cast<std::size_t>(viscum_bpf_object_end - viscum_bpf_object), nullptr));
    REQUIRE(object);
    bpf_program* program = nullptr;
    bpf_object__for_each_program(program, object.get()) {
        REQUIRE(bpf_program__set_flags(program, BPF_F_STRICT_ALIGNMENT) == 0);
    }
    CHECK(bpf_object__load(object.get()) == 0);
}
