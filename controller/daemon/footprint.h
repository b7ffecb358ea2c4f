// SPDX-License-Identifier: GPL-2.0-only
// Memory that viscumd has and does not need is given back: on a router it is scarce.
#pragma once

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>

namespace viscum {

/// Of what was freed, whole pages. (musl gives them back by itself.)
inline void give_back_heap() {
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

/// Whether the dynamic linker has written into what the file maps read-only.
inline bool has_text_relocations(const dl_phdr_info& object) {
    for (const auto& part : std::span(object.dlpi_phdr, object.dlpi_phnum)) {
        if (part.p_type == PT_DYNAMIC) {
            const auto* entry = reinterpret_cast<const ElfW(Dyn)*>(object.dlpi_addr + part.p_vaddr);
            for (; entry->d_tag != DT_NULL; ++entry) {
                if (entry->d_tag == DT_TEXTREL || (entry->d_tag == DT_FLAGS && (entry->d_un.d_val & DF_TEXTREL) != 0)) {
                    return true;
                }
            }
        }
    }
    return false;
}

/// Pages of the program and its libraries that nobody writes to: most of what a start, a deploy or a report has used is
/// not needed soon. The few that are come back at their next use, from the page cache.
inline void give_back_code() {
    dl_iterate_phdr(
        [](dl_phdr_info* object, std::size_t, void*) {
            const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
            for (const auto& part : std::span(object->dlpi_phdr, object->dlpi_phnum)) {
                if (part.p_type == PT_LOAD && (part.p_flags & PF_W) == 0 && !has_text_relocations(*object)) {
                    const std::uintptr_t begin = (object->dlpi_addr + part.p_vaddr) & ~(page - 1);
                    const std::uintptr_t end = object->dlpi_addr + part.p_vaddr + part.p_memsz;
                    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);  // up to a whole page
                }
            }
            return 0;
        },
        nullptr);
}

inline void give_back_memory() {
    give_back_heap();
    give_back_code();
}

}  // namespace viscum
