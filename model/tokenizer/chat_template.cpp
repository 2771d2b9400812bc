#include "model/tokenizer/chat_template.h"

#include "base/error.h"
#include "base/file.h"
#include "model/tokenizer/jinja/evaluator.h"
#include "model/tokenizer/jinja/parser.h"

namespace weft {
namespace {

// A special token is written as its text or as an object with a content.
std::string token_text(const Json& config, const char* key, const std::string& where) {
  const auto found = config.find(key);
  if (found != config.end() && found->is_object()) {
    return get_field<std::string>(*found, "content", where + "." + key);
  }
  return get_field_or<std::string>(config, key, "", where);
}

std::string template_text(const Json& config, const std::string& where) {
  const auto found = config.find("chat_template");
  if (found == config.end() || !found->is_array()) {
    return get_field<std::string>(config, "chat_template", where);
  }
  for (const Json& item : *found) {
    if (get_field<std::string>(item, "name", where + ".chat_template") == "default") {
      return get_field<std::string>(item, "template", where + ".chat_template");
    }
  }
  throw InputError(where + ".chat_template: expected one named \"default\", found none");
}

}  // namespace

struct ChatTemplate::Program {
  jinja::Block block;
  std::string bos, eos;
};

ChatTemplate::ChatTemplate(const std::string& jinja, std::string bos, std::string eos)
    : program_(std::make_unique<Program>()) {
  *program_ = {jinja::parse(jinja), std::move(bos), std::move(eos)};
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

ChatTemplate ChatTemplate::load(const std::filesystem::path& model_dir) {
  const auto config_file = model_dir / "tokenizer_config.json";
  const auto jinja_file = model_dir / "chat_template.jinja";
  const bool has_file = std::filesystem::exists(jinja_file);
  Json config = Json::object();
  if (std::filesystem::exists(config_file)) config = read_json_file(config_file);
  if (!has_file && !config.contains("chat_template")) {
    throw InputError(model_dir.string() +
                     ": expected chat_template.jinja, or chat_template in tokenizer_config.json");
  }
  const std::string where = config_file.string();
  const std::string text = has_file ? read_file(jinja_file) : template_text(config, where);
  return ChatTemplate(text, token_text(config, "bos_token", where),
                      token_text(config, "eos_token", where));
}

std::string ChatTemplate::render(const std::vector<ChatMessage>& messages,
                                 bool add_generation_prompt, const Json& extra) const {
  Json list = Json::array();
  for (const ChatMessage& message : messages) {
    list.push_back({{"role", message.role}, {"content", message.content}});
  }
  return render_json(list, add_generation_prompt, extra);
}

std::string ChatTemplate::render_json(const Json& messages, bool add_generation_prompt,
                                      const Json& extra) const {
  jinja::Mapping variables;
  variables.set("messages", jinja::from_json(messages));
  variables.set("add_generation_prompt", add_generation_prompt);
  variables.set("tools", jinja::None{});
  variables.set("documents", jinja::None{});
  if (!program_->bos.empty()) variables.set("bos_token", program_->bos);
  if (!program_->eos.empty()) variables.set("eos_token", program_->eos);
  for (const auto& [key, value] : extra.items()) variables.set(key, jinja::from_json(value));
  return jinja::render(program_->block, variables);
}

}  // namespace weft
