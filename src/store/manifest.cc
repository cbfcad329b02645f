// SPDX-License-Identifier: Apache-2.0
#include "store/manifest.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/error.h"
#include "base/utf8.h"

namespace omg {
namespace {

constexpr uint64_t kFormat = 1;

// Writing.

void append_pretty(std::string& out, const json::value& value, size_t indent) {
  const auto new_line = [&](size_t depth) {
    out += '\n';
    out.append(2 * depth, ' ');
  };
  if (const json::object* object = value.if_object(); object && !object->empty()) {
    out += '{';
    bool first = true;
    for (const auto& [key, member] : *object) {
      if (!first) out += ',';
      first = false;
      new_line(indent + 1);
      out += json::serialize(json::value(key)) + ": ";
      append_pretty(out, member, indent + 1);
    }
    new_line(indent);
    out += '}';
  } else if (const json::array* array = value.if_array(); array && !array->empty()) {
    out += '[';
    bool first = true;
    for (const json::value& element : *array) {
      if (!first) out += ',';
      first = false;
      new_line(indent + 1);
      append_pretty(out, element, indent + 1);
    }
    new_line(indent);
    out += ']';
  } else {
    out += json::serialize(value);
  }
}

void put_text(json::object& object, std::string_view key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

json::object artifact_to_json(const Artifact& artifact) {
  json::object object;
  object["filename"] = artifact.filename;
  object["size"] = artifact.size;
  if (artifact.digest) object["digest"] = artifact.digest->str();
  put_text(object, "etag", artifact.etag);
  put_text(object, "format", artifact.format);
  put_text(object, "role", artifact.role);
  put_text(object, "media_type", artifact.media_type);
  if (artifact.reference) {
    json::object reference;
    reference["path"] = artifact.reference->path;
    reference["owner"] = owner_name(artifact.reference->owner);
    reference["size"] = artifact.reference->size;
    reference["modified_ns"] = artifact.reference->modified_ns;
    reference["inode"] = artifact.reference->inode;
    object["reference"] = std::move(reference);
  }
  return object;
}

json::object settings_to_json(const ModelSettings& settings) {
  json::object object;
  if (settings.system) object["system"] = *settings.system;
  if (settings.chat_template) object["template"] = *settings.chat_template;
  put_text(object, "template_syntax", settings.template_syntax);
  if (!settings.parameters.empty()) object["parameters"] = settings.parameters;
  if (!settings.messages.empty()) {
    json::array messages;
    for (const ModelMessage& message : settings.messages) {
      messages.push_back({{"role", message.role}, {"content", message.content}});
    }
    object["messages"] = std::move(messages);
  }
  if (settings.license_text) object["license_text"] = *settings.license_text;
  return object;
}

json::object origin_to_json(const ModelOrigin& origin) {
  json::object object;
  object["provider"] = provider_name(origin.provider);
  put_text(object, "endpoint", origin.endpoint);
  put_text(object, "repository", origin.repository);
  put_text(object, "revision", origin.revision);
  put_text(object, "commit", origin.commit);
  return object;
}

// Reading.

/// An object of the manifest, with where it stands, for errors: "artifacts[3].reference".
class Reader {
 public:
  Reader(const json::object& object, std::string what, std::string place)
      : object_(object), what_(std::move(what)), place_(std::move(place)) {}

  [[noreturn]] void fail(std::string_view key, const std::string& why) const {
    throw Error(ErrorCode::kCorrupt, what_ + " is no manifest: '" + name_of(key) + "' " + why);
  }

  std::string text(std::string_view key, bool required = false) const {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr || value->is_null()) {
      if (required) fail(key, "is missing");
      return "";
    }
    if (!value->is_string()) fail(key, "is no text");
    return std::string(value->get_string());
  }

  std::optional<std::string> optional_text(std::string_view key) const {
    if (!object_.contains(key)) return std::nullopt;
    return text(key);
  }

  uint64_t number(std::string_view key, bool required = false) const {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) {
      if (required) fail(key, "is missing");
      return 0;
    }
    if (value->is_uint64()) return value->get_uint64();
    if (!value->is_int64() || value->get_int64() < 0) fail(key, "is no count");
    return static_cast<uint64_t>(value->get_int64());
  }

  int64_t signed_number(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) return 0;
    if (!value->is_int64()) fail(key, "is no whole number");
    return value->get_int64();
  }

  json::object object(std::string_view key) const {
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) return {};
    if (!value->is_object()) fail(key, "is no object");
    return value->get_object();
  }

  const json::array& array(std::string_view key, size_t most) const {
    static const json::array kNone;
    const json::value* value = object_.if_contains(key);
    if (value == nullptr) return kNone;
    if (!value->is_array()) fail(key, "is no list");
    if (value->get_array().size() > most) {
      fail(key, "has more than " + std::to_string(most) + " entries");
    }
    return value->get_array();
  }

  /// The reader of the object that stands in a member or list.
  Reader inside(const json::value& value, const std::string& key) const {
    if (!value.is_object()) fail(key, "is no object");
    return Reader(value.get_object(), what_, name_of(key));
  }

  const json::value* member(std::string_view key) const { return object_.if_contains(key); }

 private:
  std::string name_of(std::string_view key) const {
    return place_.empty() ? std::string(key) : place_ + "." + std::string(key);
  }

  const json::object& object_;
  std::string what_;
  std::string place_;
};

template <typename Value, size_t kCount, typename NameOf>
Value named(const Reader& reader, std::string_view key, const std::array<Value, kCount>& values,
            NameOf name_of) {
  const std::string text = reader.text(key, true);
  for (const Value value : values) {
    if (name_of(value) == text) return value;
  }
  reader.fail(key, "has the value '" + text.substr(0, 40) + "', which is not known");
}

FileReference read_reference(const Reader& reader) {
  FileReference reference;
  reference.path = reader.text("path", true);
  if (!reference.path.starts_with('/') || reference.path.find('\0') != std::string::npos) {
    reader.fail("path", "is no absolute path");
  }
  constexpr std::array kOwners = {FileOwner::kHuggingFaceCache, FileOwner::kOllama,
                                  FileOwner::kLmStudio, FileOwner::kUser};
  reference.owner = named(reader, "owner", kOwners, owner_name);
  reference.size = reader.number("size", true);
  reference.modified_ns = reader.signed_number("modified_ns");
  reference.inode = reader.number("inode", true);
  return reference;
}

Artifact read_artifact(const Reader& reader) {
  Artifact artifact;
  artifact.filename = reader.text("filename", true);
  try {
    check_artifact_filename(artifact.filename);
  } catch (const Error&) {
    reader.fail("filename", "could leave its folder");
  }
  artifact.size = reader.number("size", true);
  if (const std::string digest = reader.text("digest"); !digest.empty()) {
    artifact.digest = Digest::parse(digest);
    if (!artifact.digest) reader.fail("digest", "is no SHA-256");
  }
  artifact.etag = reader.text("etag");
  artifact.format = reader.text("format");
  artifact.role = reader.text("role");
  artifact.media_type = reader.text("media_type");
  if (const json::value* reference = reader.member("reference")) {
    artifact.reference = read_reference(reader.inside(*reference, "reference"));
    if (artifact.reference->size != artifact.size) {
      reader.fail("reference", "has another size than its file");
    }
  } else if (!artifact.digest) {
    reader.fail("digest", "is missing");
  }
  return artifact;
}

ModelSettings read_settings(const Reader& reader) {
  ModelSettings settings;
  settings.system = reader.optional_text("system");
  settings.chat_template = reader.optional_text("template");
  settings.template_syntax = reader.text("template_syntax");
  settings.parameters = reader.object("parameters");
  constexpr size_t kMaxMessages = 65536;
  for (const json::value& value : reader.array("messages", kMaxMessages)) {
    const Reader message = reader.inside(value, "messages");
    settings.messages.push_back({message.text("role", true), message.text("content", true)});
  }
  settings.license_text = reader.optional_text("license_text");
  return settings;
}

ModelOrigin read_origin(const Reader& reader) {
  ModelOrigin origin;
  constexpr std::array kProviders = {ModelProvider::kHuggingFace, ModelProvider::kRegistry,
                                     ModelProvider::kUrl, ModelProvider::kFile,
                                     ModelProvider::kCreated};
  origin.provider = named(reader, "provider", kProviders, provider_name);
  origin.endpoint = reader.text("endpoint");
  origin.repository = reader.text("repository");
  origin.revision = reader.text("revision");
  origin.commit = reader.text("commit");
  return origin;
}

StoreName read_name(const Reader& reader) {
  const std::string text = reader.text("name", true);
  try {
    return StoreName(text);
  } catch (const Error& error) {
    reader.fail("name", std::string("is refused: ") + error.what());
  }
}

StoredModel read_model(const Reader& reader) {
  StoredModel model(read_name(reader));
  const json::value* origin = reader.member("origin");
  if (origin == nullptr) reader.fail("origin", "is missing");
  model.origin = read_origin(reader.inside(*origin, "origin"));
  model.base = reader.text("base");
  model.license = reader.text("license");
  model.family = reader.text("family");
  model.quantization = reader.text("quantization");
  model.context_length = reader.number("context_length");
  model.parameter_count = reader.number("parameter_count");
  for (const json::value& value : reader.array("capabilities", 256)) {
    if (!value.is_string()) reader.fail("capabilities", "has an entry that is no text");
    model.capabilities.emplace_back(value.get_string());
  }
  model.extra = reader.object("extra");
  model.installed_at = reader.signed_number("installed_at");
  std::set<std::string> filenames;
  size_t index = 0;
  for (const json::value& value : reader.array("artifacts", kMaxArtifacts)) {
    const std::string place = "artifacts[" + std::to_string(index++) + "]";
    model.artifacts.push_back(read_artifact(reader.inside(value, place)));
    if (!filenames.insert(model.artifacts.back().filename).second) {
      reader.fail(place, "has the filename of another");
    }
  }
  if (const json::value* settings = reader.member("settings")) {
    model.settings = read_settings(reader.inside(*settings, "settings"));
  }
  return model;
}

}  // namespace

std::string manifest_to_json(const StoredModel& model) {
  json::object object;
  object["format"] = kFormat;
  object["name"] = model.name.str();
  object["origin"] = origin_to_json(model.origin);
  put_text(object, "base", model.base);
  put_text(object, "license", model.license);
  put_text(object, "family", model.family);
  put_text(object, "quantization", model.quantization);
  if (model.context_length > 0) object["context_length"] = model.context_length;
  if (model.parameter_count > 0) object["parameter_count"] = model.parameter_count;
  if (!model.capabilities.empty()) {
    object["capabilities"] = json::array(model.capabilities.begin(), model.capabilities.end());
  }
  object["installed_at"] = model.installed_at;
  json::array artifacts;
  for (const Artifact& artifact : model.artifacts) artifacts.push_back(artifact_to_json(artifact));
  object["artifacts"] = std::move(artifacts);
  if (json::object settings = settings_to_json(model.settings); !settings.empty()) {
    object["settings"] = std::move(settings);
  }
  if (!model.extra.empty()) object["extra"] = model.extra;

  std::string text;
  append_pretty(text, object, 0);
  text += '\n';
  try {
    manifest_from_json(text, "this model");
  } catch (const Error& error) {
    throw Error(ErrorCode::kInvalidArgument,
                "cannot store '" + model.name.str() + "': " + error.what());
  }
  return text;
}

StoredModel manifest_from_json(std::string_view text, const std::string& what) {
  json::value value;
  try {
    value = parse_json(text, what, {.max_bytes = kMaxManifestBytes, .max_depth = 64});
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorrupt, error.what());
  }
  const json::object* object = value.if_object();
  if (object == nullptr) throw Error(ErrorCode::kCorrupt, what + " is no manifest: no object");
  const Reader reader(*object, what, "");
  const uint64_t format = reader.number("format", true);
  if (format > kFormat) {
    throw Error(ErrorCode::kUnsupported, what + " has format " + std::to_string(format) +
                                             ", which this version does not know; update ohmygpu");
  }
  if (format == 0) reader.fail("format", "is 0");
  return read_model(reader);
}

void check_artifact_filename(std::string_view filename) {
  const auto refuse = [&](const std::string& why) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "invalid file name '" + replace_invalid_utf8(filename.substr(0, 100)) + "': " + why);
  };
  if (filename.empty() || filename.size() > 1024) refuse("it must have 1 to 1024 bytes");
  if (!is_valid_utf8(filename)) refuse("it is not UTF-8");
  for (const char c : filename) {
    if (static_cast<uint8_t>(c) < 0x20 || c == 0x7f) refuse("it has control characters");
    if (c == '\\') refuse("it has a backslash");
  }
  size_t begin = 0;
  while (begin <= filename.size()) {
    const size_t end = std::min(filename.find('/', begin), filename.size());
    const std::string_view part = filename.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") refuse("it could leave its folder");
    if (part.size() > 255) refuse("a part is longer than 255 bytes");
    begin = end + 1;
  }
}

}  // namespace omg
