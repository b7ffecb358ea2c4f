// SPDX-License-Identifier: GPL-2.0-only
// viscumd and viscumctl are one executable (docs/adr/0014): the name that it is called by says which of them it is.
#include <string_view>

#include "controller/ctl/viscumctl.h"
#include "controller/daemon/viscumd.h"

int main(int argc, char** argv) {
    std::string_view name = argc > 0 ? argv[0] : "";
    if (const auto slash = name.rfind('/'); slash != std::string_view::npos) {
        name.remove_prefix(slash + 1);
    }
    return name == "viscumctl" ? viscum::viscumctl_main(argc, argv) : viscum::viscumd_main(argc, argv);
}
