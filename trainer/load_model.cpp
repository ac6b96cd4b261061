#include "trainer/load_model.h"

#include <utility>

#include "core/model/architecture.h"
#include "trainer/nn/weights.h"
#include "trainer/seeds.h"

namespace mayfly {

Result<LoadedModel> load_model(const std::filesystem::path& folder, WallTime today,
                               const ComputeDevice& device, const QuantConfig& quant) {
  Result<Architecture> architecture = read_architecture(folder);
  if (!architecture) return architecture.error();
  Result<TextModel> text = TextModel::load(folder, today);
  if (!text) return text.error();
  Result<DecoderWeights> weights =
      load_weights(folder, *architecture, {device.device, device.type, quant});
  if (!weights) return weights.error();
  return LoadedModel{Transformer(std::move(*architecture), std::move(*weights)), std::move(*text)};
}

Result<std::optional<LoraAdapter>> load_adapter(const Transformer& model,
                                                const std::string& folder) {
  if (folder.empty()) return std::optional<LoraAdapter>();
  Result<LoraAdapter> adapter =
      LoraAdapter::read(model.architecture(), folder, model.device(), model.type());
  if (!adapter) return adapter.error();
  adapter->set_base(model.weights());
  return std::optional<LoraAdapter>(std::move(*adapter));
}

Result<LoraAdapter> make_adapter(const Transformer& model, const LoraConfig& config,
                                 std::uint64_t seed) {
  if (config.init_from) {
    Result<std::optional<LoraAdapter>> given = load_adapter(model, *config.init_from);
    if (!given) return while_doing("lora.init_from", given.error());
    if (config.use_dora && !(*given)->shape().use_dora) {
      return Error{ErrorKind::invalid_config,
                   "lora.use_dora is true, and the adapter of lora.init_from has no magnitudes",
                   "leave one of them out"};
    }
    return std::move(**given);
  }
  const Result<LoraShape> shape = lora_shape_from(config, model.architecture());
  if (!shape) return shape.error();
  LoraAdapter adapter = LoraAdapter::create(model.architecture(), *shape, adapter_seed(seed),
                                            model.device(), model.type());
  adapter.set_base(model.weights());
  adapter.start_magnitudes();
  return adapter;
}

}  // namespace mayfly
