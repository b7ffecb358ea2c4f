// SPDX-License-Identifier: GPL-2.0-only
#include "controller/ipc/json.h"

#include <limits>
#include <nlohmann/json.hpp>

namespace viscum {
namespace {

// Builds the tree while the library reads, and stops it at the bounds. The library itself does not recurse.
class TreeBuilder {
public:
    bool null() { return add({}); }
    bool boolean(bool value) { return add({value}); }
    bool number_integer(std::int64_t value) { return add({value}); }
    bool number_unsigned(std::uint64_t value) { return add({value}); }
    bool number_float(double, const std::string&) { return refuse("a number is not whole"); }
    bool string(std::string& value) { return add({std::move(value)}); }
    bool binary(nlohmann::json::binary_t&) { return refuse("not JSON"); }
    bool start_object(std::size_t) { return open({JsonValue::Object{}}); }
    bool start_array(std::size_t) { return open({JsonValue::List{}}); }
    bool end_object() { return close(); }
    bool end_array() { return close(); }
    bool key(std::string& name) {
        auto& object = std::get<JsonValue::Object>(open_.back().value);
        for (const auto& member : object) {
            if (member.name == name) {
                return refuse(cat("field '", name, "' occurs twice"));
            }
        }
        // Also bounds the search above.
        if (object.size() == kMaxMembers) {
            return refuse("an object has too many fields");
        }
        object.push_back({std::move(name), {}});
        return true;
    }
    bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) {
        return refuse(cat("not JSON at byte ", position));
    }

    [[nodiscard]] std::string error() const { return error_.empty() ? "not JSON" : error_; }
    [[nodiscard]] JsonValue take() && { return std::move(root_); }

private:
    static constexpr std::size_t kMaxMembers = 256;

    bool refuse(std::string why) {
        error_ = std::move(why);
        return false;
    }
    bool add(JsonValue value) {
        if (++count_ > kMaxJsonValues) {
            return refuse("too many values");
        }
        place(std::move(value));
        return true;
    }
    void place(JsonValue value) {
        if (open_.empty()) {
            root_ = std::move(value);
        } else if (auto* list = std::get_if<JsonValue::List>(&open_.back().value)) {
            list->push_back(std::move(value));
        } else if (auto* object = std::get_if<JsonValue::Object>(&open_.back().value)) {
            object->back().value = std::move(value);
        }
    }
    bool open(JsonValue value) {
        if (open_.size() == kMaxJsonDepth) {
            return refuse(cat("nested deeper than ", kMaxJsonDepth));
        }
        if (++count_ > kMaxJsonValues) {
            return refuse("too many values");
        }
        open_.push_back(std::move(value));
        return true;
    }
    bool close() {
        JsonValue closed = std::move(open_.back());
        open_.pop_back();
        place(std::move(closed));
        return true;
    }

    std::vector<JsonValue> open_;
    JsonValue root_;
    std::size_t count_ = 0;
    std::string error_;
};

}  // namespace

std::string json_quote(std::string_view text) {
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

const JsonValue* JsonValue::member(std::string_view name) const {
    if (const auto* object = std::get_if<Object>(&value)) {
        for (const auto& member : *object) {
            if (member.name == name) {
                return &member.value;
            }
        }
    }
    return nullptr;
}

Result<JsonValue> parse_json(std::string_view text) {
    TreeBuilder builder;
    try {
        if (nlohmann::json::sax_parse(text.begin(), text.end(), &builder)) {
            return std::move(builder).take();
        }
    } catch (const nlohmann::json::exception& e) {
        return Error{EBADMSG, e.what()};
    }
    return Error{EBADMSG, builder.error()};
}

void JsonOut::member(std::string_view name, std::string_view json) {
    text_ += cat(text_.size() > 1 ? "," : "", "\"", name, "\":", json);
}

void JsonOut::field(std::string_view name, const std::vector<std::string>& value) {
    std::string list = "[";
    for (const auto& item : value) {
        list += list.size() > 1 ? "," : "";
        list += json_quote(item);
    }
    member(name, list + "]");
}

void JsonOut::field(std::string_view name, const std::map<std::string, std::string>& value) {
    std::string object = "{";
    for (const auto& [key, text] : value) {
        object += cat(object.size() > 1 ? "," : "", json_quote(key), ":", json_quote(text));
    }
    member(name, object + "}");
}

void JsonIn::field(std::string_view name, std::int64_t& target) {
    const JsonValue* found = value_.member(name);
    const auto* positive = found == nullptr ? nullptr : std::get_if<std::uint64_t>(&found->value);
    if (positive == nullptr) {
        take(name, target);
        return;
    }
    ++asked_;
    if (*positive > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail(cat("field '", name, "' is out of range"));
        return;
    }
    target = static_cast<std::int64_t>(*positive);
}

void JsonIn::field(std::string_view name, std::vector<std::string>& target) {
    const auto* list = find<JsonValue::List>(name);
    for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
        const auto* text = std::get_if<std::string>(&(*list)[i].value);
        if (text == nullptr) {
            return fail(cat("field '", name, "' holds something else than texts"));
        }
        target.push_back(*text);
    }
}

void JsonIn::field(std::string_view name, std::map<std::string, std::string>& target) {
    const auto* object = find<JsonValue::Object>(name);
    for (std::size_t i = 0; object != nullptr && i < object->size(); ++i) {
        const auto* text = std::get_if<std::string>(&(*object)[i].value.value);
        if (text == nullptr) {
            return fail(cat("field '", name, "' holds something else than texts"));
        }
        target.emplace((*object)[i].name, *text);
    }
}

void JsonIn::only_known() {
    if (!error_ && object_->size() != asked_) {
        fail("a field that this version does not know");
    }
}

void JsonIn::fail(std::string what) {
    if (!error_) {
        error_ = Error{EBADMSG, std::move(what)};
    }
}

Status JsonIn::status() const {
    if (error_) {
        return *error_;
    }
    return {};
}

}  // namespace viscum
