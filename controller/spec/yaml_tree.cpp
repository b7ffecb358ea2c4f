// SPDX-License-Identifier: GPL-2.0-only
#include "controller/spec/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <istream>
#include <map>
#include <sstream>

#include "base/text.h"
#include "controller/spec/yaml_guard.h"

namespace viscum {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr int kMaxNodes = 20'000;
constexpr std::size_t kMaxKey = 128;

constexpr std::string_view kNoAliases = "anchors and aliases are not supported: write the value out";

/// What yaml-cpp says, in the words of somebody who writes a file.
struct Wording {
    std::string_view theirs;
    std::string_view what;
    std::string_view hint;
};
constexpr std::array<Wording, 9> kWordings{{
    {"end of sequence flow not found", "a '[' without its ']', or a ',' that is missing", {}},
    {"end of map flow not found", "a '{' without its '}', or a ',' that is missing", {}},
    {"illegal flow end", "a ']' or '}' without its beginning", {}},
    {"illegal EOF in scalar", "a quotation mark without its end", {}},
    {"illegal map value", "a ':' where no key can be", "put text that holds ': ' in quotes, and check the indentation"},
    {"illegal block entry", "a '-' where no list can begin", "check the indentation"},
    {"end of map not found", "neither a key nor the end of the map", "check the indentation"},
    {"the referenced anchor is not defined", "an alias", kNoAliases},
    {"bad file", "nested too deep", {}},
}};

Place place_of(const YAML::Mark& mark) {
    return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
}

/// Whether the quoted text that `source` begins with has its end: yaml-cpp takes the end of the file for one.
bool is_closed(std::string_view source) {
    const char quote = source.front();
    for (std::size_t at = 1; at < source.size(); ++at) {
        if (source[at] == '\\' && quote == '"') {
            ++at;
        } else if (source[at] == quote) {
            if (quote == '"' || source.substr(at + 1, 1) != "'") {
                return true;
            }
            ++at;
        }
    }
    return false;
}

class TreeBuilder final : public YAML::EventHandler {
public:
    TreeBuilder(std::string_view text, std::istream& stream, Mistakes& mistakes)
        : text_(text), stream_(stream), mistakes_(mistakes) {}

    [[nodiscard]] bool stopped() const { return stopped_; }
    YamlNode take() && { return std::move(root_); }

    void OnDocumentStart(const YAML::Mark& mark) override {
        if (documents_++ > 0 && !stopped_) {
            const bool marker = source_at(mark).substr(0, 3) == "---";
            stop(place_of(mark), marker ? "a second document" : "text behind the end of the document",
                 "a file holds one document");
        }
    }
    void OnDocumentEnd() override {}

    void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
        if (ignoring()) {
            return;
        }
        if (source_at(mark).substr(0, 1) == "!") {
            refuse_tag(mark);
        }
        if (at_key()) {
            add_bad_key(mark, "a key without text");
        } else {
            add_node(mark, YamlNode::Kind::null);
        }
    }

    void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
        if (ignoring()) {
            return;
        }
        if (at_key()) {
            add_bad_key(mark, "an alias as a key");
        } else if (add_node(mark, YamlNode::Kind::refused) != nullptr) {
            mistakes_.add(place_of(mark), "an alias", std::string(kNoAliases));
        }
    }

    void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
        if (ignoring()) {
            return;
        }
        check_tag(mark, tag);
        check_quotes(mark, tag);
        if (stopped_) {
            return;
        }
        if (at_key()) {
            add_key(mark, value);
        } else if (YamlNode* node = add_node(mark, YamlNode::Kind::text)) {
            node->text = value;
            node->double_quoted = source_at(mark).substr(0, 1) == "\"";
        }
    }

    void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                         YAML::EmitterStyle::value) override {
        begin(mark, tag, YamlNode::Kind::list);
    }
    void OnSequenceEnd() override { end(); }
    void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                    YAML::EmitterStyle::value) override {
        begin(mark, tag, YamlNode::Kind::map);
    }
    void OnMapEnd() override { end(); }

    void OnAnchor(const YAML::Mark& mark, const std::string&) override {
        if (!ignoring()) {
            mistakes_.add(place_of(mark), "an anchor", std::string(kNoAliases));
        }
    }

private:
    /// A list or map that is being filled. The pointer stays valid: only the innermost one grows.
    struct Open {
        YamlNode* node;
        bool value_next = false;              // of a map: the key is there
        std::map<std::string, Place> keys{};  // of a map
    };

    [[nodiscard]] bool ignoring() const { return stopped_ || skipping_ > 0; }
    [[nodiscard]] bool at_key() const {
        return !open_.empty() && open_.back().node->kind == YamlNode::Kind::map && !open_.back().value_next;
    }
    [[nodiscard]] std::string_view source_at(const YAML::Mark& mark) const {
        return text_.substr(std::min(static_cast<std::size_t>(std::max(mark.pos, 0)), text_.size()));
    }

    /// yaml-cpp cannot be stopped, so its text ends here; what it still says is ignored.
    void stop(Place place, std::string what, std::string hint) {
        mistakes_.add(place, std::move(what), std::move(hint));
        stopped_ = true;
        stream_.seekg(0, std::ios::end);
    }

    void refuse_tag(const YAML::Mark& mark) {
        mistakes_.add(place_of(mark), "a tag", "tags are not supported, every value is plain text");
    }
    void check_tag(const YAML::Mark& mark, const std::string& tag) {
        // "?" and "!" stand for no tag at a plain and at a quoted value; "! x" has the latter as well.
        if ((tag != "?" && tag != "!") || source_at(mark).substr(0, 1) == "!") {
            refuse_tag(mark);
        }
    }

    void check_quotes(const YAML::Mark& mark, const std::string& tag) {
        const auto source = source_at(mark);
        const bool is_quoted = tag == "!" && !source.empty() && (source.front() == '"' || source.front() == '\'');
        if (is_quoted && !is_closed(source)) {
            stop(place_of(mark), "a quotation mark without its end", {});
        }
    }

    /// The new node in its place, or null where the tree is full.
    YamlNode* add_node(const YAML::Mark& mark, YamlNode::Kind kind) {
        if (++nodes_ > kMaxNodes) {
            stop(place_of(mark), "too many elements", cat("more than ", kMaxNodes, " keys and values"));
            return nullptr;
        }
        YamlNode* node = &root_;
        if (!open_.empty()) {
            Open& parent = open_.back();
            if (parent.node->kind == YamlNode::Kind::list) {
                node = &parent.node->children.emplace_back();
                node->key = parent.node->key;
                node->is_item = true;
            } else {
                node = &parent.node->children.back();
                parent.value_next = false;
            }
        }
        node->kind = kind;
        node->place = place_of(mark);
        return node;
    }

    void add_key(const YAML::Mark& mark, const std::string& key) {
        const Place place = place_of(mark);
        Open& map = open_.back();
        map.value_next = true;
        YamlNode& child = map.node->children.emplace_back();
        child.key = key.substr(0, kMaxKey);
        child.key_place = place;
        child.key_refused = true;
        if (key.size() > kMaxKey) {
            mistakes_.add(place, cat("key ", quoted(key), " is too long"),
                          cat("a key has at most ", kMaxKey, " bytes"));
        } else if (key == "<<") {
            mistakes_.add(place, "a merge key", "merge keys are not supported: write the values out");
        } else if (const auto [first, fresh] = map.keys.emplace(key, place); !fresh) {
            mistakes_.add(place, cat("duplicate key ", quoted(key)),
                          cat("the first one is in line ", first->second.line));
        } else {
            child.key_refused = false;
        }
    }

    void add_bad_key(const YAML::Mark& mark, std::string what) {
        mistakes_.add(place_of(mark), std::move(what), "a key is plain text");
        Open& map = open_.back();
        map.value_next = true;
        YamlNode& child = map.node->children.emplace_back();
        child.key_place = place_of(mark);
        child.key_refused = true;
    }

    void begin(const YAML::Mark& mark, const std::string& tag, YamlNode::Kind kind) {
        if (stopped_) {
            return;
        }
        if (skipping_ > 0) {
            ++skipping_;
            return;
        }
        check_tag(mark, tag);
        if (at_key()) {
            add_bad_key(mark, kind == YamlNode::Kind::list ? "a list as a key" : "a map as a key");
            skipping_ = 1;
        } else if (open_.size() >= kMaxDepth) {
            stop(place_of(mark), "nested too deep", cat("at most ", kMaxDepth, " levels"));
        } else if (YamlNode* node = add_node(mark, kind)) {
            open_.push_back(Open{node});
        }
    }

    void end() {
        if (stopped_) {
            return;
        }
        if (skipping_ > 0) {
            --skipping_;
        } else {
            open_.pop_back();
        }
    }

    std::string_view text_;
    std::istream& stream_;
    Mistakes& mistakes_;
    YamlNode root_;
    std::vector<Open> open_;
    int documents_ = 0;
    int nodes_ = 0;
    int skipping_ = 0;  // levels within a key that is no text
    bool stopped_ = false;
};

Mistakes syntax_mistake(const YAML::Exception& exception) {
    Mistakes mistake;
    const auto ours = std::find_if(kWordings.begin(), kWordings.end(), [&](const Wording& wording) {
        return std::string_view(exception.msg).substr(0, wording.theirs.size()) == wording.theirs;
    });
    if (ours == kWordings.end()) {
        mistake.add(place_of(exception.mark), cat("no valid YAML: ", shown(exception.msg, 160)));
    } else {
        mistake.add(place_of(exception.mark), std::string(ours->what), std::string(ours->hint));
    }
    return mistake;
}

}  // namespace

std::optional<YamlNode> read_yaml(std::string_view text, Mistakes& mistakes) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) {
        text.remove_prefix(kByteOrderMark.size());
    }
    check_bounds(text, mistakes);
    if (!mistakes.empty()) {
        return std::nullopt;
    }
    std::istringstream stream{std::string(text)};
    TreeBuilder builder(text, stream, mistakes);
    try {
        YAML::Parser parser(stream);
        while (!builder.stopped() && parser.HandleNextDocument(builder)) {
        }
    } catch (const YAML::Exception& exception) {
        if (!builder.stopped()) {
            // Alone: what was found before is often only what the parser made of the mistake.
            mistakes = syntax_mistake(exception);
        }
        return std::nullopt;
    }
    if (builder.stopped()) {
        return std::nullopt;
    }
    return std::move(builder).take();
}

}  // namespace viscum
