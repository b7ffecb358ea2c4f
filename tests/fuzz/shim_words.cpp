// SPDX-License-Identifier: GPL-2.0-only
// What viscum-shim reads of a run directory's instructions.
#include "controller/shim/words.h"

#include "tests/fuzz/fuzz.h"

using namespace viscum;
using namespace viscum::fuzz;

namespace {

const char* name_of(Op op) {
    return kInstructions[static_cast<std::size_t>(op)].name;
}

/// The instructions, as the file has them.
std::string written(const Words& words) {
    std::string out;
    Step step;
    for (std::size_t at = 0; words.next(&at, &step);) {
        out += name_of(step.op);
        out += '\0';
        for (int i = 0; i < kInstructions[static_cast<std::size_t>(step.op)].arity; ++i) {
            out += step.argument[i];
            out += '\0';
        }
    }
    out += "end";
    out += '\0';
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string bytes(text_of(data, size));
    // Newlines stand for NULs too, so that seeds are plain texts.
    std::replace(bytes.begin(), bytes.end(), '\n', '\0');
    MappedFile file;
    file.bytes = bytes.empty() ? nullptr : bytes.data();
    file.length = bytes.size();
    Words words;
    Failure failure;
    if (!words.take(file, failure)) {
        require(failure.code == EINVAL && failure.text.length > 0, "a refusal says why");
        return 0;
    }
    require(written(words) == bytes, "every word is an instruction's");
    Step step;
    for (std::size_t op = 0; op + 1 < kInstructionCount; ++op) {
        if (words.find(static_cast<Op>(op), &step)) {
            require(step.op == static_cast<Op>(op), "what is found is what was looked for");
            for (int i = 0; i < kInstructions[op].arity; ++i) {
                parse_number(step.argument[i]);
                Text text;
                text.put_failure("cannot open", step.argument[i], static_cast<int>(op));
                require(text.length <= sizeof text.bytes, "a text is bounded");
            }
        }
    }
    return 0;
}
