"""The plugin that Metaflow finds here takes the place of its own AWS client provider, under the same name.

The name stays `boto3` because Metaflow writes it into the description of remote jobs, and a job whose image lacks this
package must find a provider of that name. Without a login the plugin hands over to Metaflow's own.
"""

AWS_CLIENT_PROVIDERS_DESC = [("boto3", ".aws_client_provider.StageClientProvider")]
