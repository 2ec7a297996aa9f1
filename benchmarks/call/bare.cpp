// What AITER's own binding costs at least: a function of the same signature that does nothing.
#include <optional>
#include <string>

#include <torch/extension.h>

namespace {

using Tensor = torch::Tensor;

void stage1(Tensor&, Tensor&, Tensor&, Tensor&, Tensor&, Tensor&, Tensor&, int, std::string,
            std::optional<Tensor>, std::optional<Tensor>, std::optional<int>, std::optional<Tensor>,
            int, int, std::optional<int>, bool, std::string, bool)
{
}

} // namespace

PYBIND11_MODULE(bare, module)
{
    namespace py = pybind11;
    module.def("ck_moe_stage1", stage1, py::arg("hidden_states"), py::arg("w1"), py::arg("w2"),
               py::arg("sorted_token_ids"), py::arg("sorted_expert_ids"), py::arg("num_valid_ids"),
               py::arg("out"), py::arg("topk"), py::arg("kernelName"),
               py::arg("w1_scale") = std::nullopt, py::arg("a1_scale") = std::nullopt,
               py::arg("block_m") = 32, py::arg("sorted_weights") = std::nullopt,
               py::arg("quant_type") = 0, py::arg("activation") = 0, py::arg("splitk") = 1,
               py::arg("non_temporal_load") = false, py::arg("dst_type") = "",
               py::arg("is_shuffled") = true);
}
