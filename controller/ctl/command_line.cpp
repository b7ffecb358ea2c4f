// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/command_line.h"

#include <CLI/CLI.hpp>

#include "base/text.h"

namespace viscum {
namespace {

void add_image_verbs(CLI::App& image, Arguments& args) {
    image.require_subcommand(1);
    const auto verb = [&](const char* name, const char* what) {
        auto* sub = image.add_subcommand(name, what);
        sub->fallthrough();
        return sub;
    };
    auto* import = verb("import", "Put an image into the store: an image layout, or an archive of one");
    import->add_option("FILE", args.image, "A directory or a tar file")->required()->type_name("");
    import->add_option("--name", args.image_name, "What service files call it")->type_name("NAME");
    import->add_option("--limit", args.image_limit, "How much it may hold, unpacked: 512M, 2G")->type_name("SIZE");
    verb("list", "The images of the store");
    verb("prune", "Remove images that have no name any more and that no service uses");
    auto* remove = verb("remove", "Take an image that no service uses out of the store");
    remove->add_option("NAME", args.image, "The image")->required()->type_name("");
    remove->add_flag("--force", args.force, "Also where no viscumd runs that knows which are used");
}

void add_bundle_verbs(CLI::App& bundle, Arguments& args) {
    bundle.require_subcommand(1);
    const auto verb = [&](const char* name, const char* what) {
        auto* sub = bundle.add_subcommand(name, what);
        sub->fallthrough();
        return sub;
    };
    const auto file = [&](CLI::App* sub, const char* what) {
        sub->add_option("FILE", args.image, what)->required()->type_name("");
        return sub;
    };
    const auto key = [&](CLI::App* sub) {
        return sub
            ->add_option("--key", args.bundle.key, "Sign with it: an OpenSSH key, or the public one of an agent's")
            ->type_name("KEY");
    };
    auto* make = verb("make", "Put a service with its files and its image into one file");
    make->add_option("FILE", args.bundle.service_file, "The service file")->required()->type_name("");
    make->add_option("VERSION", args.bundle.version, "As in 1.12.0; a device takes no lower one than it had")
        ->required()
        ->type_name("");
    make->add_option("-o,--out", args.bundle.out, "The bundle; otherwise NAME-VERSION.bundle")->type_name("BUNDLE");
    make->add_option("--files", args.bundle.files, "Where its files are; otherwise beside it")->type_name("FOLDER");
    make->add_option("--image", args.bundle.image, "Its image; otherwise beside it")->type_name("IMAGE");
    make->add_option("--platform", args.bundle.platform, "Of an image for several: linux/arm/v7")
        ->type_name("PLATFORM");
    key(make);
    key(file(verb("sign", "Add a signature"), "The bundle"))->required();
    file(verb("verify", "Whether it is whole, and signed by somebody trusted"), "The bundle; - is standard input")
        ->add_option("--trust", args.keys, "A public key's file; otherwise 'trust:' of viscum.yaml")
        ->type_name("KEY");
    file(verb("thin", "Write it to standard output without its parts, but for those that are asked for"), "The bundle")
        ->add_option("--parts", args.parts, "A file with what a device said that it lacks")
        ->type_name("PARTS");
    const auto downgrade = [&](CLI::App* sub) {
        sub->add_flag("--allow-downgrade", args.allow_downgrade, "Also a version before the one that came last");
    };
    downgrade(file(verb("lacks", "Which parts of it this device does not have"), "The bundle; - is standard input"));
    auto* install =
        file(verb("install", "Verify it, unpack it, and deploy its service"), "The bundle; - is standard input");
    downgrade(install);
    install->add_option("--wait", args.wait, "How long to wait: 500ms, 30s, 2m")->type_name("TIME");
    install->add_option("--confirm", args.confirm, "The version before comes back after this time, unless confirmed")
        ->type_name("TIME");
    verb("list", "Which version of each service came last");
}

}  // namespace

void add_verbs(CLI::App& app, Arguments& args) {
    const auto verb = [&app](const char* name, const char* what, const std::string& examples) {
        auto* sub = app.add_subcommand(name, what);
        sub->fallthrough()->footer("Examples:\n" + examples + "\n--instance NAME and --json are understood as well.");
        return sub;
    };
    const auto service = [&args](CLI::App* sub) {
        sub->add_option("NAME", args.service, "The service")->required()->type_name("");
        return sub;
    };
    const auto files = [&args](CLI::App* sub) {
        return sub->add_option("FILE", args.files, "Service files; - is standard input")->type_name("");
    };
    const auto wait = [&args](CLI::App* sub) {
        sub->add_option("--wait", args.wait, "How long to wait: 500ms, 30s, 2m")->type_name("TIME");
    };

    auto* deploy = verb("deploy", "Make services run as their files say",
                        "  viscumctl deploy plates.yaml --wait 30s\n  viscumctl deploy services/*.yaml --dry-run\n"
                        "  viscumctl deploy plates.yaml --confirm 2m && viscumctl confirm plates\n");
    files(deploy)->required();
    wait(deploy);
    deploy->add_option("--confirm", args.confirm, "The version before comes back after this time, unless confirmed")
        ->type_name("TIME");
    deploy->add_flag("--dry-run", args.dry_run, "Only say what would be done");
    for (const auto& [name, what] : {std::pair("confirm", "Keep what was deployed with --confirm"),
                                     std::pair("revert", "Do not keep it: the version before comes back now")}) {
        verb(name, what, cat("  viscumctl ", name, "\n  viscumctl ", name, " plates\n"))
            ->add_option("NAME", args.service, "The service; otherwise all that are on trial")
            ->type_name("");
    }
    wait(service(verb("remove", "Take a service away when its connections are done", "  viscumctl remove plates\n")));
    verb("list", "One line per service", "  viscumctl list\n  viscumctl list --json | jq '.services[].name'\n");
    verb("status", "The daemon and its services, or all about one service",
         "  viscumctl status\n  viscumctl status plates\n")
        ->add_option("NAME", args.service, "The service")
        ->type_name("");
    auto* logs =
        service(verb("logs", "What a service wrote", "  viscumctl logs plates -n 20\n  viscumctl logs plates -f\n"));
    logs->add_flag("-f,--follow", args.follow, "Also write what comes, until Ctrl-C");
    logs->add_option("-n,--lines", args.lines, "How many lines of the past")->type_name("LINES");
    auto* events = verb("events", "What happened to services and to viscumd, and why",
                        "  viscumctl events --since 2h\n  viscumctl events plates -f\n");
    events->add_option("NAME", args.service, "The service")->type_name("");
    events->add_flag("-f,--follow", args.follow, "Also write what comes, until Ctrl-C");
    events->add_option("-n,--lines", args.lines, "How many of the past")->type_name("LINES");
    events->add_option("--since", args.since, "None that are older: 90s, 2h")->type_name("TIME");
    verb("watch", "Services and events, live", "  viscumctl watch\n  ssh -t root@hotspot viscumctl watch\n");
    for (const auto& [name, what] : {std::pair("drain", "Let new flows go to the cloud, open ones finish"),
                                     std::pair("resume", "The end of drain")}) {
        auto* sub = verb(name, what, cat("  viscumctl ", name, " plates\n  viscumctl ", name, " --all\n"));
        auto* all = sub->add_flag("--all", args.all, "All services that are there");
        sub->add_option("NAME", args.service, "The service")->type_name("")->excludes(all);
    }
    wait(service(verb("restart", "Put a new process in the place of the old one", "  viscumctl restart plates\n")));
    auto* exec = service(verb("exec", "Run a command beside a service, in its sandbox",
                              "  viscumctl exec plates -- ss -tln\n  viscumctl exec plates -- ip address\n"));
    exec->add_option("CMD", args.command, "The command and its arguments, behind --")->required()->type_name("");
    service(verb("audit", "What a service can do, and how much that is",
                 "  viscumctl audit plates\n  viscumctl audit plates --json | jq .score\n"));
    auto* savings = verb("savings", "What services saved, day by day: traffic, time, round trips, money",
                         "  viscumctl savings\n  viscumctl savings plates --days 7\n"
                         "  viscumctl savings --days 400 --csv > savings.csv\n");
    savings->add_option("NAME", args.service, "The service")->type_name("");
    savings->add_option("--days", args.days, "How many, today among them; otherwise 30")->type_name("DAYS");
    savings->add_flag("--csv", args.csv, "A table for programs (RFC 4180)");
    add_image_verbs(*verb("image", "The images that services are made from",
                          "  viscumctl image import plates.tar --name plates:1\n  viscumctl image list\n"
                          "  viscumctl image remove plates:1\n"),
                    args);
    add_bundle_verbs(*verb("bundle", "Services in one signed file each",
                           "  viscumctl bundle make plates.yaml 3 --key ~/.ssh/id_ed25519\n"
                           "  viscumctl bundle verify plates-3.bundle --trust ~/.ssh/id_ed25519.pub\n"
                           "  ssh root@hotspot viscumctl bundle install - < plates-3.bundle\n"),
                     args);
    auto* validate = verb("validate", "Check files without the daemon",
                          "  viscumctl validate plates.yaml\n  viscumctl validate --config /etc/viscum/viscum.yaml\n");
    files(validate);
    validate->add_option("--config", args.config, "A viscum.yaml to check, in place of the router's own")
        ->type_name("FILE");
    files(verb("plan", "What a deploy would do, step by step", "  viscumctl plan plates.yaml\n  viscumctl plan\n"));
    verb("backup", "Put the configuration and all services into one file",
         "  viscumctl backup /tmp/hotspot-7.tar\n  ssh root@hotspot viscumctl backup - > hotspot-7.tar\n")
        ->add_option("FILE", args.backup, "The backup, which holds secrets; - is standard output")
        ->required()
        ->type_name("");
    auto* restore = verb("restore", "Put back what a backup holds, while viscumd is stopped",
                         "  viscumctl restore hotspot-7.tar --dry-run\n"
                         "  systemctl stop viscumd; viscumctl restore hotspot-7.tar; systemctl start viscumd\n");
    restore->add_option("FILE", args.backup, "The backup; - is standard input")->required()->type_name("");
    restore->add_flag("--dry-run", args.dry_run, "Only say what would be done");
    restore->add_flag("--exact", args.exact, "Remove services that the backup does not have");
    auto* why = verb("why", "What would become of a packet, and why",
                     "  viscumctl why 192.168.1.23 203.0.113.10:443/tcp\n"
                     "  viscumctl why '[2001:db8::23]:40000' '[2001:db8:c::10]:443/tcp' --json\n");
    why->add_option("SRC", args.flow_source, "The client's address; with its port, this very flow")
        ->required()
        ->type_name("");
    why->add_option("DST", args.flow_destination, "ADDRESS:PORT/PROTOCOL")->required()->type_name("");
    verb("doctor", "What keeps traffic from being served here, and what mends it",
         "  viscumctl doctor\n  viscumctl doctor --json | jq '.findings[] | select(.severity == \"problem\")'\n");
    auto* gate =
        verb("gate", "Do what a key may ask for over SSH, and nothing else",
             "  restrict,command=\"viscumctl gate --role deploy --key ops\" ssh-ed25519 AAAA... (authorized_keys)\n"
             "  ssh root@hotspot deploy - < plates.yaml\n");
    gate->add_option("--role", args.role, "observe, or deploy")->required()->type_name("ROLE");
    gate->add_option("--key", args.key, "The key's name, for the log")->required()->type_name("NAME");
    verb("version", "The versions of viscumctl and of viscumd", "  viscumctl version --json\n");
}

}  // namespace viscum
