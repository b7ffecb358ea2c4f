// SPDX-License-Identifier: GPL-2.0-only
// What viscumd reads of a run directory: how the process ended, and its variables.
#include "controller/supervise/run_directory.h"
#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string& directory = work_directory();
    const auto bytes = text_of(data, size);
    write_whole(directory + "/exit", bytes);
    if (const auto end = last_exit(directory)) {
        require(!end->success() || bytes.starts_with("exited 0"), "only an exit with 0 is a success");
        require(!end->describe().empty(), "an end is described");
        require(end->kind == ExitStatus::Kind::failed || (end->value >= 0 && end->value <= 255), "an end has a number");
    } else {
        require(size > 4096, "a short file is read");
    }

    write_whole(directory + "/env", bytes);
    EnterSpec spec;
    spec.run_dir = directory;
    spec.env = {{"TERM", "linux"}, {"A", "1"}};
    const auto merged = merge_environment(spec);
    require(static_cast<bool>(merged), "variables are read");
    int terms = 0;
    for (const auto& variable : *merged) {
        require(!variable.empty() && variable.find('\0') == std::string::npos, "a variable is a text");
        terms += variable.starts_with("TERM=") ? 1 : 0;
    }
    require(terms == 1, "what is asked for wins");
    return 0;
}
