#include "trainer/respondent.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"

namespace mayfly {

namespace {

// What bytes that are no whole character yet are decoded to.
constexpr std::string_view kNoCharacter = "\xef\xbf\xbd";

}  // namespace

Respondent::Respondent(LoadedModel model, std::optional<LoraAdapter> adapter)
    : model_(std::move(model)),
      adapter_(std::move(adapter)),
      ends_(model_.transformer.architecture().end_tokens) {
  if (const auto eos = model_.text.eos_id()) ends_.push_back(*eos);
}

Result<Respondent> Respondent::load(const RespondentFolders& folders) {
  SystemClock clock;
  Result<LoadedModel> model =
      load_model(folders.model_dir, clock.now(), folders.device, folders.quant);
  if (!model) return model.error();
  if (Status taken = model->text.take_template_of(folders.adapter_dir, clock.now()); !taken) {
    return taken.error();
  }
  Result<std::optional<LoraAdapter>> adapter =
      load_adapter(model->transformer, folders.adapter_dir);
  if (!adapter) return adapter.error();
  return Respondent(std::move(*model), std::move(*adapter));
}

Result<std::vector<TokenId>> Respondent::prompt_of(const std::vector<Message>& messages) const {
  const Result<ChatTemplate>& chat_template = model_.text.chat_template();
  if (!chat_template) return chat_template.error();
  const Result<RenderedText> text = chat_template->render(messages, true);
  if (!text) return text.error();
  std::vector<TokenId> prompt = model_.text.tokenizer().encode(text->text);
  if (prompt.empty()) return Error{ErrorKind::bad_data, "the prompt has no tokens"};
  return prompt;
}

Result<Answer> Respondent::answer(const std::vector<Message>& messages, const Sampling& sampling,
                                  bool tuned, const AnswerPieces& pieces) const {
  const Result<std::vector<TokenId>> prompt = prompt_of(messages);
  if (!prompt) return prompt.error();
  const Tokenizer& tokenizer = model_.text.tokenizer();
  std::vector<TokenId> so_far;
  std::string shown;
  const auto on_token = [&](TokenId token) {
    if (!pieces) return true;
    so_far.push_back(token);
    const std::string text = tokenizer.decode(so_far, /*skip_special=*/true);
    if (text.ends_with(kNoCharacter) || !text.starts_with(shown)) return true;
    const std::string piece = text.substr(shown.size());
    shown = text;
    return piece.empty() || pieces(piece);
  };
  std::vector<TokenId> said = generate(model_.transformer, tuned && adapter_ ? &*adapter_ : nullptr,
                                       *prompt, ends_, sampling, on_token);
  Answer made;
  made.prompt_tokens = static_cast<std::int64_t>(prompt->size());
  made.new_tokens = static_cast<std::int64_t>(said.size());
  made.complete =
      !said.empty() && std::find(ends_.begin(), ends_.end(), said.back()) != ends_.end();
  if (made.complete) said.pop_back();
  made.text = tokenizer.decode(said, /*skip_special=*/true);
  return made;
}

}  // namespace mayfly
