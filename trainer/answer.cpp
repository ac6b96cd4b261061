#include "trainer/answer.h"

#include <algorithm>
#include <vector>

#include "core/clock.h"
#include "trainer/load_model.h"

namespace mayfly {

namespace {

// The tokens that end an answer: the tokenizer's, and those of config.json.
std::vector<std::int64_t> end_tokens(const LoadedModel& model) {
  std::vector<std::int64_t> ends = model.transformer.architecture().end_tokens;
  if (const auto eos = model.text.eos_id()) ends.push_back(*eos);
  return ends;
}

}  // namespace

Result<Answer> answer(const AnswerRequest& request) {
  SystemClock clock;
  const Result<LoadedModel> model =
      load_model(request.model_dir, clock.now(), request.device, request.quant);
  if (!model) return model.error();
  const Result<std::optional<LoraAdapter>> adapter =
      load_adapter(model->transformer, request.adapter_dir);
  if (!adapter) return adapter.error();

  std::vector<Message> messages;
  if (!request.system.empty()) messages.push_back({"system", request.system});
  messages.push_back({"user", request.prompt});
  const Result<ChatTemplate>& chat_template = model->text.chat_template();
  if (!chat_template) return chat_template.error();
  const Result<RenderedText> text = chat_template->render(messages, true);
  if (!text) return text.error();
  const Tokenizer& tokenizer = model->text.tokenizer();
  const std::vector<TokenId> prompt = tokenizer.encode(text->text);
  if (prompt.empty()) return Error{ErrorKind::bad_data, "the prompt has no tokens"};
  const std::vector<std::int64_t> ends = end_tokens(*model);
  std::vector<TokenId> said =
      generate(model->transformer, *adapter ? &**adapter : nullptr, prompt, ends, request.sampling);

  Answer made;
  made.prompt_tokens = static_cast<std::int64_t>(prompt.size());
  made.new_tokens = static_cast<std::int64_t>(said.size());
  made.complete = !said.empty() && std::find(ends.begin(), ends.end(), said.back()) != ends.end();
  if (made.complete) said.pop_back();
  made.text = tokenizer.decode(said, /*skip_special=*/true);
  return made;
}

}  // namespace mayfly
