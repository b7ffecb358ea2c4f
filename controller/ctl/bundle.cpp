// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ctl/bundle.h"

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "controller/bundle/record.h"
#include "controller/ctl/image.h"
#include "controller/ctl/image_program.h"
#include "controller/ctl/render.h"
#include "controller/ipc/json.h"
#include "controller/spec/parse.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxKey = 4096;

/// "-" is standard input.
std::string stream_path(const std::string& file) {
    return file == "-" ? file : plain_path(file);
}

std::string folder_of(const std::string& file) {
    const auto slash = file.rfind('/');
    return slash == std::string::npos ? "." : file.substr(0, slash);
}

Response refusal(Code code, std::string message, std::string hint) {
    Response response;
    response.code = code;
    response.message = std::move(message);
    response.hint = std::move(hint);
    return response;
}

/// `trust:` of the configuration. No configuration has none; one that cannot be understood is an error.
std::variant<std::vector<std::string>, Response> trusted_keys(const Session& session) {
    const auto text = read_file(session.config, kMaxConfig);
    if (!text) {
        return text.error().errno_code == ENOENT
                   ? std::variant<std::vector<std::string>, Response>()
                   : refusal(Code::failed, cat("cannot know who is trusted: ", text.error().what), "");
    }
    auto parsed = parse_router_config(*text, session.config);
    if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
        return refusal(Code::invalid, cat("cannot know who is trusted: ", mistakes->front().text()), "");
    }
    return std::get<RouterConfig>(std::move(parsed)).trust;
}

/// `words` for viscum-image, with what it has to know of who is trusted, and of versions.
std::variant<std::vector<std::string>, Response> with_trust(const Session& session, std::vector<std::string> words,
                                                            bool allow_downgrade) {
    auto keys = trusted_keys(session);
    const auto* list = std::get_if<std::vector<std::string>>(&keys);
    if (list == nullptr) {
        return keys;
    }
    for (const auto& key : *list) {
        words.insert(words.end(), {"--trust", key});
    }
    if (allow_downgrade) {
        words.emplace_back("--allow-downgrade");
    }
    return words;
}

/// Runs a verb that needs to know who is trusted.
int run_trusting(const Session& session, std::vector<std::string> words, bool allow_downgrade) {
    const auto all = with_trust(session, std::move(words), allow_downgrade);
    const auto* problem = std::get_if<Response>(&all);
    return problem != nullptr ? fail(session.console, *problem)
                              : run_image(session, std::get<std::vector<std::string>>(all));
}

/// The image that goes into the bundle, as an option; empty where the service has none.
Result<std::string> image_option(const ServiceSpec& spec, const BundleMake& make) {
    const std::string& name = spec.run.image;
    if (name.empty()) {
        return make.image.empty() ? Result<std::string>("")
                                  : Error{EINVAL, cat("'", spec.name, "' has no 'image:' that --image could be")};
    }
    const auto beside = make.image.empty() ? image_file(name, make.service_file) : std::optional(make.image);
    return beside ? Result<std::string>(cat("--image=", name, "=", *beside))
                  : Error{ENOENT, cat("image '", name, "' is no file beside '", make.service_file, "'")};
}

struct Installed {
    std::string service;
    std::string version;
    std::string image;
    std::string digest;
    std::string signer;
    std::string file;
};

template <class Io, FieldsOf<Installed> T>
void fields(Io& io, T& installed) {
    io.field("service", installed.service);
    io.field("version", installed.version);
    io.field("image", installed.image);
    io.field("digest", installed.digest);
    io.field("signer", installed.signer);
    io.field("file", installed.file);
}

struct Failure {
    std::string message;
    std::string hint;
};

template <class Io, FieldsOf<Failure> T>
void fields(Io& io, T& failure) {
    io.field("message", failure.message);
    io.field("hint", failure.hint);
}

/// A member of what viscum-image said.
template <class T>
std::optional<T> said(const std::string& text, std::string_view member) {
    const auto tree = parse_json(text);
    const JsonValue* found = tree ? tree->member(member) : nullptr;
    if (found == nullptr) {
        return std::nullopt;
    }
    T value;
    JsonIn in(*found);
    fields(in, value);
    return in.status() ? std::optional(std::move(value)) : std::nullopt;
}

/// What was unpacked of a bundle, or what kept it from being.
std::variant<Installed, Response> unpack(const Session& session, const std::string& file, bool allow_downgrade) {
    auto command = image_command(session, true);
    command.insert(command.end(), {"bundle-install", stream_path(file)});
    auto all = with_trust(session, std::move(command), allow_downgrade);
    if (auto* problem = std::get_if<Response>(&all)) {
        return std::move(*problem);
    }
    const auto end = run_program(std::get<std::vector<std::string>>(std::move(all)), true);
    if (!end) {
        return refusal(Code::failed, end.error().what, "viscum-image belongs to the installation");
    }
    if (auto installed = end->code == 0 ? said<Installed>(end->said, "bundle") : std::nullopt) {
        return *std::move(installed);
    }
    auto failure = said<Failure>(end->said, "error").value_or(Failure{"viscum-image gave no answer", ""});
    const bool known = end->code > 0 && end->code <= static_cast<int>(Code::no_such_service);
    return refusal(known ? static_cast<Code>(end->code) : Code::failed, std::move(failure.message),
                   std::move(failure.hint));
}

/// What was signed as one service's must not be another one's file. Empty: it is what it should be.
std::string mismatch(const Installed& installed) {
    const auto text = read_spec_file(installed.file);
    if (!text) {
        return text.error().what;
    }
    const auto parsed = parse_service(*text, installed.file);
    const auto* spec = std::get_if<ServiceSpec>(&parsed);
    if (spec == nullptr) {
        return std::get<Diagnostics>(parsed).front().text();
    }
    return spec->name == installed.service && spec->bundle == installed.digest && spec->run.image == installed.image
               ? ""
               : cat("its service file is not that of '", installed.service, "' with image '", installed.image, "'");
}

}  // namespace

int bundle_make(const Session& session, const BundleMake& make) {
    const Console& console = session.console;
    const auto text = read_spec_file(make.service_file);
    if (!text) {
        return fail(console, Code::invalid, text.error().what, "");
    }
    // As a device will have it: with the line that a bundle adds, which must be one of the file's own level.
    auto parsed = parse_service(*text, make.service_file);
    if (const auto* mistakes = std::get_if<Diagnostics>(&parsed)) {
        return fail(console, *mistakes, "no bundle was made: the file is invalid");
    }
    const auto& spec = std::get<ServiceSpec>(parsed);
    const auto with = parse_service(bundled_text(*text, std::string(40, '0')), make.service_file);
    if (!spec.bundle.empty() || std::holds_alternative<Diagnostics>(with)) {
        return fail(console, Code::invalid, cat("'", make.service_file, "' cannot be put into a bundle"),
                    spec.bundle.empty() ? "write it in block style: no { } around it, and nothing behind a '...'"
                                        : "leave 'bundle:' out: the bundle adds it");
    }
    const std::string out = make.out.empty() ? cat(spec.name, "-", make.version, ".bundle") : make.out;
    std::vector<std::string> words{"bundle-make", plain_path(make.service_file),     plain_path(out), "--service",
                                   spec.name,     "--bundle-version=" + make.version};
    const auto image = image_option(spec, make);
    if (!image) {
        return fail(console, Code::invalid, image.error().what, "--image FILE says where it is");
    }
    if (!image->empty()) {
        words.push_back(*image);
    }
    std::vector<std::string> names;
    for (const auto& file : spec.files) {
        if (file.source == FileSpec::Source::file &&
            std::find(names.begin(), names.end(), file.content) == names.end()) {
            names.push_back(file.content);
        }
    }
    for (const auto& name : names) {
        words.push_back(
            cat("--file=", name, "=", make.files.empty() ? folder_of(make.service_file) : make.files, "/", name));
    }
    for (const auto& [option, value] : {std::pair("--platform=", make.platform), std::pair("--key=", make.key)}) {
        if (!value.empty()) {
            words.push_back(option + value);
        }
    }
    return run_image(session, words);
}

int bundle_sign(const Session& session, const std::string& file, const std::string& key) {
    return run_image(session, {"bundle-sign", plain_path(file), "--key=" + key});
}

int bundle_verify(const Session& session, const std::string& file, const std::vector<std::string>& keys) {
    std::vector<std::string> words{"bundle-verify", stream_path(file)};
    if (keys.empty()) {
        return run_trusting(session, std::move(words), false);
    }
    for (const auto& name : keys) {
        const auto text = read_file(name, kMaxKey);
        if (!text) {
            return fail(session.console, Code::invalid, text.error().what, "");
        }
        for (const auto& line : split(*text, '\n')) {
            if (!line.empty() && !line.starts_with('#')) {
                words.push_back("--trust=" + line);
            }
        }
    }
    return run_image(session, words);
}

int bundle_thin(const Session& session, const std::string& file, const std::string& parts) {
    std::vector<std::string> words{"bundle-thin", plain_path(file)};
    if (!parts.empty()) {
        words.push_back("--parts=" + parts);
    }
    return run_image(session, words);
}

int bundle_lacks(const Session& session, const std::string& file, bool allow_downgrade) {
    return run_trusting(session, {"bundle-lacks", stream_path(file)}, allow_downgrade);
}

int bundle_install(const Session& session, const std::string& file, bool allow_downgrade,
                   const DeployOptions& options) {
    // What is unpacked counts as the version that came last: not where nobody can deploy it.
    Request question;
    question.verb = "version";
    if (const Response answer = ask(session, question); answer.code != Code::done) {
        return fail(session.console, answer);
    }
    const auto unpacked = unpack(session, file, allow_downgrade);
    if (const auto* problem = std::get_if<Response>(&unpacked)) {
        return fail(session.console, *problem);
    }
    const auto& installed = std::get<Installed>(unpacked);
    if (const auto why = mismatch(installed); !why.empty()) {
        return fail(session.console, Code::invalid, cat("nothing was deployed: ", why), "");
    }
    if (!session.console.json) {
        session.console.err(cat("bundle ", printable(installed.service), " ", installed.version,
                                installed.signer.empty() ? "" : ", signed by ", printable(installed.signer), "\n"));
    }
    const int code = deploy_bundled(session, installed.file, options);
    prune_quietly(session);
    return code;
}

int bundle_list(const Session& session) {
    return run_image(session, {"bundle-list"});
}

std::optional<Response> refuse_unsigned(const Session& session) {
    auto keys = trusted_keys(session);
    if (auto* problem = std::get_if<Response>(&keys)) {
        return std::move(*problem);
    }
    return std::get<std::vector<std::string>>(keys).empty()
               ? std::nullopt
               : std::optional(refusal(Code::refused, "nothing was deployed: this device takes signed bundles only",
                                       cat("'trust:' of ", session.config, " says by whom: viscumctl bundle install")));
}

}  // namespace viscum
