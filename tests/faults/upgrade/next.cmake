# SPDX-License-Identifier: GPL-2.0-only
# viscumd-next: the viscumd of this tree with another layout of its tables, as a later version may have it. Only what
# reads tcprog/abi.h is compiled again; its own abi.h is found first.
set(next_dir ${CMAKE_BINARY_DIR}/next)
set(next_abi ${CMAKE_SOURCE_DIR}/tcprog/abi.h)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${next_abi})
file(READ ${next_abi} next_text)

# next_replace(OLD NEW): where the text is not there, this file has to follow abi.h.
function(next_replace old new)
  string(FIND "${next_text}" "${old}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "tests/faults/upgrade/next.cmake: '${old}' is not in tcprog/abi.h")
  endif()
  string(REPLACE "${old}" "${new}" replaced "${next_text}")
  set(next_text "${replaced}" PARENT_SCOPE)
endfunction()

string(REGEX MATCH "#define VS_ABI ([0-9]+)" next_version_line "${next_text}")
math(EXPR next_version "${CMAKE_MATCH_1} + 1")
next_replace("${next_version_line}" "#define VS_ABI ${next_version}")
# A value of each kind of map that viscumd or the programs write: array, hash, LRU hash, per-CPU array and hash.
next_replace("    __u32 spare[5];\n" "    __u32 spare[7];\n")
next_replace("sizeof(struct vs_rule) == 40" "sizeof(struct vs_rule) == 48")
next_replace("    __u8 mac[6];\n    __u8 zero[2];\n" "    __u8 mac[6];\n    __u8 zero[2];\n    __u64 next;\n")
next_replace("sizeof(struct vs_lan_device) == 8" "sizeof(struct vs_lan_device) == 16")
next_replace("    __u8 slot;   // the backend that serves it\n    __u8 zero[2];\n"
             "    __u8 slot;\n    __u8 zero[2];\n    __u64 next;\n")
next_replace("sizeof(struct vs_flow) == 16" "sizeof(struct vs_flow) == 24")
next_replace("    __u64 spare[5];\n" "    __u64 spare[7];\n")
next_replace("sizeof(struct vs_counters) == 128" "sizeof(struct vs_counters) == 144")
next_replace("    __u64 spare;\n" "    __u64 spare[2];\n")
next_replace("sizeof(struct vs_link_counters) == 96" "sizeof(struct vs_link_counters) == 104")
file(CONFIGURE OUTPUT ${next_dir}/tcprog/abi.h CONTENT "${next_text}" @ONLY)

# As tcprog/CMakeLists.txt makes it.
find_program(CLANG NAMES clang clang-14 clang-15 clang-16 REQUIRED)
if(CMAKE_CXX_BYTE_ORDER STREQUAL BIG_ENDIAN)
  set(next_target bpfeb)
else()
  set(next_target bpfel)
endif()
if(CMAKE_LIBRARY_ARCHITECTURE)
  set(next_include -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE})
endif()
file(GLOB next_bpf_sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tcprog/*.bpf.h)
add_custom_command(
  OUTPUT ${next_dir}/programs.bpf.o
  COMMAND ${CLANG} -target ${next_target} -mcpu=v3 -O2 -g -Wall -Wextra -Werror -I${next_dir} -I${CMAKE_SOURCE_DIR}
          ${next_include} -c ${CMAKE_SOURCE_DIR}/tcprog/programs.bpf.c -o ${next_dir}/programs.bpf.o
  DEPENDS ${CMAKE_SOURCE_DIR}/tcprog/programs.bpf.c ${next_bpf_sources} ${next_dir}/tcprog/abi.h
  COMMENT "Compiling the BPF programs of viscumd-next"
  VERBATIM)
add_custom_target(viscumd-next-programs DEPENDS ${next_dir}/programs.bpf.o)

# What sees abi.h: tcprog, world, and what of daemon includes them by daemon.h.
get_target_property(next_tcprog viscum_tcprog SOURCES)
list(FILTER next_tcprog INCLUDE REGEX "\\.(cpp|S)$")
get_target_property(next_world viscum_world SOURCES)
file(GLOB next_candidates CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/controller/daemon/*)
set(next_daemon "")
foreach(file IN LISTS next_candidates)
  file(STRINGS ${file} sees_abi REGEX "#include \"(controller/daemon/(daemon|choose_grade)|controller/world/linux_world|tcprog/.*)\\.h\"")
  if(sees_abi AND file MATCHES "\\.cpp$")
    list(APPEND next_daemon ${file})
  elseif(sees_abi AND NOT file MATCHES "/(daemon|choose_grade)\\.h$")
    message(FATAL_ERROR "tests/faults/upgrade/next.cmake: ${file} has to be thought of")
  endif()
endforeach()
add_executable(viscumd-next ${CMAKE_SOURCE_DIR}/controller/main.cpp ${next_tcprog} ${next_world} ${next_daemon})
add_dependencies(viscumd-next viscumd-next-programs)
target_include_directories(viscumd-next BEFORE PRIVATE ${next_dir})
target_link_libraries(viscumd-next PRIVATE viscum_daemon viscum_ctl)
set_source_files_properties(${CMAKE_SOURCE_DIR}/tcprog/object.S PROPERTIES
  COMPILE_DEFINITIONS VISCUM_BPF_OBJECT="${next_dir}/programs.bpf.o"
  OBJECT_DEPENDS ${next_dir}/programs.bpf.o COMPILE_OPTIONS "-w")
