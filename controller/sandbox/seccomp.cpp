// SPDX-License-Identifier: GPL-2.0-only
#include "controller/sandbox/seccomp.h"

#include <asm/ioctls.h>
#include <asm/unistd.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <iterator>
#include <memory>

#include "base/text.h"
#include "base/unique_fd.h"
#include "controller/spec/allowances.h"

namespace viscum {
namespace {

using Allow = std::set<std::string>;

struct Denied {
    std::string_view name;
    std::string_view unless;  // the allowance that lets it in; empty: none does
};

constexpr std::string_view kNamespaces = "namespaces";
constexpr std::string_view kKeyring = "keyring";
constexpr std::string_view kIoUring = "io_uring";
constexpr std::string_view kNice = "cap_sys_nice";
constexpr std::string_view kPtrace = "ptrace";

/// Names of architectures that this one is not are passed over by libseccomp.
constexpr std::array kDenied{
    // Mounts and namespaces. clone is looked at more closely, chroot has two ways in: below.
    Denied{"fsconfig", kNamespaces}, Denied{"fsmount", kNamespaces}, Denied{"fsopen", kNamespaces},
    Denied{"fspick", kNamespaces}, Denied{"mount", kNamespaces}, Denied{"mount_setattr", kNamespaces},
    Denied{"move_mount", kNamespaces}, Denied{"open_tree", kNamespaces}, Denied{"open_tree_attr", kNamespaces},
    Denied{"pivot_root", kNamespaces}, Denied{"setdomainname", kNamespaces}, Denied{"sethostname", kNamespaces},
    Denied{"setns", kNamespaces}, Denied{"umount", kNamespaces}, Denied{"umount2", kNamespaces},
    Denied{"unshare", kNamespaces},
    // Other processes' memory and descriptors.
    Denied{"kcmp", kPtrace}, Denied{"pidfd_getfd", kPtrace}, Denied{"process_madvise", kPtrace},
    Denied{"process_vm_readv", kPtrace}, Denied{"process_vm_writev", kPtrace}, Denied{"ptrace", kPtrace},
    // Large parts of the kernel that hardly a service needs, each with a history of its own.
    Denied{"add_key", kKeyring}, Denied{"keyctl", kKeyring}, Denied{"request_key", kKeyring}, Denied{"bpf", "bpf"},
    Denied{"io_uring_enter", kIoUring}, Denied{"io_uring_register", kIoUring}, Denied{"io_uring_setup", kIoUring},
    Denied{"perf_event_open", "perf"}, Denied{"userfaultfd", "userfaultfd"},
    // Other processes' share of the machine.
    Denied{"get_mempolicy", kNice}, Denied{"mbind", kNice}, Denied{"migrate_pages", kNice}, Denied{"move_pages", kNice},
    Denied{"set_mempolicy", kNice}, Denied{"set_mempolicy_home_node", kNice},
    // Files past their paths, and what watches a whole mount.
    Denied{"fanotify_init", {}}, Denied{"fanotify_mark", {}}, Denied{"name_to_handle_at", {}},
    Denied{"open_by_handle_at", {}},
    // The machine itself.
    Denied{"acct", {}}, Denied{"adjtimex", {}}, Denied{"clock_adjtime", {}}, Denied{"clock_adjtime64", {}},
    Denied{"clock_settime", {}}, Denied{"clock_settime64", {}}, Denied{"create_module", {}},
    Denied{"delete_module", {}}, Denied{"finit_module", {}}, Denied{"get_kernel_syms", {}}, Denied{"init_module", {}},
    Denied{"ioperm", {}}, Denied{"iopl", {}}, Denied{"kexec_file_load", {}}, Denied{"kexec_load", {}},
    Denied{"lookup_dcookie", {}}, Denied{"nfsservctl", {}}, Denied{"pciconfig_iobase", {}},
    Denied{"pciconfig_read", {}}, Denied{"pciconfig_write", {}}, Denied{"query_module", {}}, Denied{"quotactl", {}},
    Denied{"quotactl_fd", {}}, Denied{"reboot", {}}, Denied{"rtas", {}}, Denied{"s390_pci_mmio_read", {}},
    Denied{"s390_pci_mmio_write", {}}, Denied{"settimeofday", {}}, Denied{"stime", {}}, Denied{"swapoff", {}},
    Denied{"swapon", {}}, Denied{"syslog", {}}, Denied{"vhangup", {}},
    // What has had its day, and other processors' modes.
    Denied{"_sysctl", {}}, Denied{"afs_syscall", {}}, Denied{"bdflush", {}}, Denied{"modify_ldt", {}},
    Denied{"s390_runtime_instr", {}}, Denied{"sgetmask", {}}, Denied{"spu_create", {}}, Denied{"spu_run", {}},
    Denied{"ssetmask", {}}, Denied{"subpage_prot", {}}, Denied{"switch_endian", {}}, Denied{"sysfs", {}},
    Denied{"uselib", {}}, Denied{"ustat", {}}, Denied{"vm86", {}}, Denied{"vm86old", {}}, Denied{"vserver", {}}};

// MIPS counts from 4000, 5000 or 6000 on, by ABI. Above 402 all but Alpha share the numbers.
#ifdef __NR_Linux
constexpr std::uint32_t kFirstNumber = __NR_Linux;
#else
constexpr std::uint32_t kFirstNumber = 0;
#endif
constexpr std::uint32_t kNewest = kFirstNumber + 469;        // file_setattr, kernel 6.17
constexpr std::uint32_t kOpenTreeAttr = kFirstNumber + 467;  // younger than most libseccomp
constexpr std::uint32_t kPrivateNumbers = 0xf0000;           // ARM's own: cacheflush, set_tls

#if defined __i386__
constexpr std::uint32_t kSocketcallFor = SCMP_ARCH_X86;
#elif defined __s390x__
constexpr std::uint32_t kSocketcallFor = SCMP_ARCH_S390X;
#else
constexpr std::uint32_t kSocketcallFor = 0;
#endif

constexpr std::uint32_t kEperm = SCMP_ACT_ERRNO(EPERM);
constexpr std::uint32_t kEnosys = SCMP_ACT_ERRNO(ENOSYS);

/// Collects rules until one fails.
class Rules {
public:
    Rules() : context_(seccomp_init(SCMP_ACT_ALLOW)) {
        if (!context_) {
            error_ = -ENOMEM;
            return;
        }
        note(seccomp_attr_set(context_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS));
        note(seccomp_attr_set(context_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // a binary tree
    }

    /// Whatever the arguments.
    void deny(std::string_view name, std::uint32_t action = kEperm) { deny_if(name, {}, action); }
    /// Where all of `conditions` hold.
    void deny_if(std::string_view name, const std::vector<scmp_arg_cmp>& conditions, std::uint32_t action = kEperm) {
        if (const int call = number(name); call != __NR_SCMP_ERROR && error_ == 0) {
            note(seccomp_rule_add_array(context_.get(), action, call, static_cast<unsigned>(conditions.size()),
                                        conditions.data()));
        }
    }
    /// __NR_SCMP_ERROR: unknown here.
    static int number(std::string_view name) {
        const int known = seccomp_syscall_resolve_name(std::string(name).c_str());
        return known == __NR_SCMP_ERROR && name == "open_tree_attr" ? static_cast<int>(kOpenTreeAttr) : known;
    }
    Result<std::string> program();

private:
    struct Release {
        void operator()(void* context) const { seccomp_release(context); }
    };
    void note(int result) { error_ = error_ == 0 ? result : error_; }

    std::unique_ptr<void, Release> context_;
    int error_ = 0;
};

Result<std::string> Rules::program() {
    if (error_ != 0) {
        return errno_error("cannot make a seccomp filter", error_);
    }
    const UniqueFd file(memfd_create("seccomp", MFD_CLOEXEC));
    if (!file) {
        return errno_error("cannot make a seccomp filter");
    }
    if (const int failed = seccomp_export_bpf(context_.get(), file.get()); failed != 0) {
        // ECANCELED: errno tells.
        return errno_error("cannot make a seccomp filter", failed == -ECANCELED ? errno : failed);
    }
    const auto size = lseek(file.get(), 0, SEEK_END);
    std::string bytes(size > 0 ? static_cast<std::size_t>(size) : 0, '\0');
    ssize_t got = -1;
    do {
        got = pread(file.get(), bytes.data(), bytes.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (bytes.empty() || got != size) {
        return errno_error("cannot read the seccomp filter that was made", got < 0 ? errno : EIO);
    }
    return bytes;
}

scmp_arg_cmp is(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_EQ, value, 0};
}

/// Looks at `mask` only: the kernel ignores the upper half of an int, and a filter that did not would let a call in
/// that has bits there (CVE-2019-10063).
scmp_arg_cmp has(unsigned argument, std::uint64_t mask, std::uint64_t value) {
    return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

scmp_arg_cmp differs(unsigned argument, std::uint64_t value) {
    return {argument, SCMP_CMP_NE, value, 0};
}

void deny_namespaces(Rules& rules) {
#ifdef __s390__
    constexpr unsigned kFlags = 1;
#else
    constexpr unsigned kFlags = 0;
#endif
    // CLONE_NEWTIME is none of clone's: its bit is part of the signal's number there.
    constexpr std::array<std::uint64_t, 7> kMakers{CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                                   CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
    for (const auto flag : kMakers) {
        rules.deny_if("clone", {has(kFlags, flag, flag)});
    }
    rules.deny("clone3", kEnosys);
}

void deny_sockets(Rules& rules, bool raw_allowed) {
    // What lies between the allowed families, and all above them: also what has bits in the upper half.
    for (std::uint64_t family = 0; family < AF_NETLINK; ++family) {
        if (family != AF_UNIX && family != AF_INET && family != AF_INET6) {
            rules.deny_if("socket", {is(0, family)});
        }
    }
    rules.deny_if("socket", {{0, SCMP_CMP_GT, AF_NETLINK, 0}});
    rules.deny_if("socket", {is(0, AF_NETLINK), differs(2, NETLINK_ROUTE)});
    rules.deny_if("socketpair", {differs(0, AF_UNIX)});
    constexpr std::uint64_t kTypes = 0xf;  // SOCK_TYPE_MASK: the rest are SOCK_NONBLOCK and SOCK_CLOEXEC
    constexpr std::uint64_t kInt = 0xffffffff;
    constexpr std::array<std::uint64_t, 3> kRefused{SOCK_RAW, SOCK_DCCP, SOCK_PACKET};
    constexpr std::array<std::uint64_t, 4> kProtocols{IPPROTO_DCCP, 115, IPPROTO_SCTP, IPPROTO_UDPLITE};  // 115: L2TP
    for (const std::uint64_t family : std::array<std::uint64_t, 2>{AF_INET, AF_INET6}) {
        for (const auto type : kRefused) {
            if (type != SOCK_RAW || !raw_allowed) {
                rules.deny_if("socket", {is(0, family), has(1, kTypes, type)});
            }
        }
        for (const auto protocol : kProtocols) {
            rules.deny_if("socket", {is(0, family), has(2, kInt, protocol)});
        }
    }
}

template <class... Instructions>
std::string as_bytes(const Instructions&... instructions) {
    std::string bytes;
    (bytes.append(reinterpret_cast<const char*>(&instructions), sizeof instructions), ...);
    return bytes;
}

constexpr sock_filter load(std::size_t offset) {
    return {BPF_LD | BPF_W | BPF_ABS, 0, 0, static_cast<std::uint32_t>(offset)};
}
/// Passes over `yes` or `no` instructions.
constexpr sock_filter jump(int comparison, std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
    return {static_cast<std::uint16_t>(BPF_JMP | BPF_K | comparison), yes, no, value};
}
constexpr sock_filter answer(std::uint32_t action) {
    return {BPF_RET | BPF_K, 0, 0, action};
}

/// libseccomp would deny every socket of socketcall for the few that a rule for socket denies.
std::string let_socketcall_in() {
    constexpr std::uint32_t kSocketcall = 102;
    return as_bytes(load(offsetof(seccomp_data, arch)),   //
                    jump(BPF_JEQ, kSocketcallFor, 0, 3),  //
                    load(offsetof(seccomp_data, nr)),     //
                    jump(BPF_JEQ, kSocketcall, 0, 1),     //
                    answer(SCMP_ACT_ALLOW));
}

/// What libseccomp has no rule for: a range of numbers, and "neither of two values". It only ever denies, so that
/// whatever it passes, of whichever ABI, is judged by libseccomp's part behind it.
std::string prelude() {
    constexpr std::size_t kLowHalf = std::endian::native == std::endian::big ? 4 : 0;
    const auto personality = static_cast<std::uint32_t>(Rules::number("personality"));
    return as_bytes(load(offsetof(seccomp_data, nr)),               //
                    jump(BPF_JGE, kNewest + 1, 0, 2),               //
                    jump(BPF_JGE, kPrivateNumbers, 1, 0),           // ARM's own; x32 and the like are libseccomp's
                    answer(kEnosys),                                //
                    jump(BPF_JEQ, personality, 0, 4),               //
                    load(offsetof(seccomp_data, args) + kLowHalf),  //
                    jump(BPF_JEQ, 0, 2, 0),                         //
                    jump(BPF_JEQ, 0xffffffff, 1, 0),                // asks only
                    answer(kEperm));
}

}  // namespace

std::vector<std::string_view> denied_calls(const Allow& allow) {
    std::vector<std::string_view> names;
    for (const auto& denied : kDenied) {
        if (!allow.contains(std::string(denied.unless))) {
            names.push_back(denied.name);
        }
    }
    if (!allow.contains("cap_sys_chroot") && !allow.contains("namespaces")) {
        names.emplace_back("chroot");
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<std::string> seccomp_filter(const Allow& allow) {
    Rules rules;
    for (const auto name : denied_calls(allow)) {
        rules.deny(name);
    }
    if (!allow.contains("namespaces")) {
        deny_namespaces(rules);
    }
    deny_sockets(rules, allow.contains("cap_net_raw"));
    if (kSocketcallFor == 0) {
        rules.deny("socketcall");
    }
    constexpr std::array<std::uint64_t, 3> kRequests{TIOCSTI, TIOCLINUX, TIOCSETD};
    for (const auto request : kRequests) {
        rules.deny_if("ioctl", {has(1, 0xffffffff, request)});
    }
    // The limit of 1 forbids core dumps of every kind; 0 would let one to a program through again (core(5)). A service
    // that wants none for itself is told that it has its way.
    rules.deny_if("setrlimit", {has(0, 0xffffffff, RLIMIT_CORE)}, SCMP_ACT_ERRNO(0));
    rules.deny_if("prlimit64", {has(0, 0xffffffff, 0), has(1, 0xffffffff, RLIMIT_CORE), differs(2, 0)},
                  SCMP_ACT_ERRNO(0));
    // Of others: a service that runs as root would take its shim's log away.
    rules.deny_if("prlimit64", {{0, SCMP_CMP_GT, 0, 0}, differs(2, 0)});
    // Real-time classes are beyond what a control group's quota bounds.
    constexpr std::uint64_t kPolicy = 0xffffffff & ~std::uint64_t{SCHED_RESET_ON_FORK};
    constexpr std::array<std::uint64_t, 3> kRealTime{SCHED_FIFO, SCHED_RR, 6};  // 6: SCHED_DEADLINE
    for (const auto policy : kRealTime) {
        rules.deny_if("sched_setscheduler", {has(1, kPolicy, policy)});
    }
    auto program = rules.program();
    if (!program) {
        return std::move(program).error();
    }
    return (kSocketcallFor != 0 ? let_socketcall_in() : std::string()) + prelude() + *program;
}

std::uint64_t capability_mask(const Allow& allow) {
    std::uint64_t mask = 0;
    for (const auto& capability : kCapabilities) {
        if (allow.contains(std::string(capability.name))) {
            mask |= std::uint64_t{1} << capability.number;
        }
    }
    return mask;
}

}  // namespace viscum
