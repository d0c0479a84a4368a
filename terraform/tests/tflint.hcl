# Every rule of tflint's own plugin for the Terraform language.
plugin "terraform" {
  enabled = true
  preset  = "all"
}

# An example's modules are in this repository, so there is no version to pin.
rule "terraform_module_pinned_source" {
  enabled = false
}
